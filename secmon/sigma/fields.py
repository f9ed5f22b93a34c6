"""What a rule's field names are called in our events; applied when a rule is compiled, never per event.

Taxonomy `sigma` (the default): per log source a table of Sigma's names. A name may stand for several event fields
(a Sysmon and an audit field, say): the rule then sees the values of all of them.
Taxonomy `ecs`: names as they stand; what a web address means is also looked for in the address itself, because it is
added only where the two differ (`parse.url_text`). Any other taxonomy is refused on the rule.

Windows: every EventData value stands verbatim under `winlog.event_data.<Name>`, so that no mapping splits, merges
or loses a value; only the System fields have names of their own. Sources: Sigma taxonomy (appendix of the
specification), the field lists of Windows audit events 4657, 4688, 4689 and 5156.
"""

import re
from collections.abc import Callable, Mapping

from secmon.sigma.rule import LogSource
from secmon.sigma.source_shapes import Table
from secmon.sigma.sources import IDS, LINUX, MEANT, SENT, WEB

FieldMap = Callable[[str], tuple[str, ...]]

TAXONOMIES = ("sigma", "ecs")


class UnknownFieldError(LookupError):
    """The taxonomy has no such field for this log source; its argument is the name."""


_WINDOWS_SYSTEM: Mapping[str, tuple[str, ...]] = {
    "EventID": ("event.code",),
    "Channel": ("winlog.channel",),
    "Provider_Name": ("winlog.provider_name",),
    "ProviderName": ("winlog.provider_name", "winlog.event_data.ProviderName"),
    "Computer": ("winlog.computer_name",),
    "ComputerName": ("winlog.computer_name", "winlog.event_data.ComputerName"),
    "EventRecordID": ("winlog.record_id",),
    "Level": ("winlog.level", "winlog.event_data.Level"),
    "Keywords": ("winlog.keywords", "winlog.event_data.Keywords"),
    "Task": ("winlog.task", "winlog.event_data.Task"),
    "Opcode": ("winlog.opcode", "winlog.event_data.Opcode"),
    "Message": ("message", "winlog.event_data.Message"),
}

# Fields of Windows audit events that mean what Sysmon's field of another name means, by category.
_AUDIT: Mapping[str, Mapping[str, str]] = {
    "process_creation": {
        "Image": "NewProcessName",
        "ParentImage": "ParentProcessName",
        "User": "SubjectUserName",
        "LogonId": "SubjectLogonId",
    },
    "process_termination": {"Image": "ProcessName"},
    "network_connection": {
        "Image": "Application",
        "SourceIp": "SourceAddress",
        "DestinationIp": "DestAddress",
        "DestinationPort": "DestPort",
    },
    "registry_event": {"TargetObject": "ObjectName", "Details": "NewValue", "Image": "ProcessName"},
    "registry_set": {"TargetObject": "ObjectName", "Details": "NewValue", "Image": "ProcessName"},
}

_HUMPS = re.compile("(?<=[a-z])(?=[A-Z])")


def field_map(source: LogSource, taxonomy: str) -> FieldMap:
    """Return the function from a rule's field name to event fields.

    It raises UnknownFieldError for a name that the taxonomy does not have for this log source. A name with a
    dot is taken as one of our events' own names (a processing pipeline may have put it there).
    """
    if taxonomy == "ecs":
        return _own
    if source.product == "windows":
        return _windows(source)
    sent = SENT.get(source)
    table = _table(source)

    def mapped(name: str) -> tuple[str, ...]:
        found = sent.names(name) if sent is not None else table.get(name)
        if found:
            return found
        if "." in name or name in {"message", "@timestamp"}:
            return (name,)
        raise UnknownFieldError(name)

    return mapped


def _own(name: str) -> tuple[str, ...]:
    return MEANT.get(name, (name,))


def _table(source: LogSource) -> Table:
    if source.category == "webserver":
        return WEB
    if source.category == "ids":
        return IDS
    return LINUX if source.product == "linux" else {}


def _windows(source: LogSource) -> FieldMap:
    audit = _AUDIT.get(source.category, {})

    def mapped(name: str) -> tuple[str, ...]:
        if name in _WINDOWS_SYSTEM:
            return _WINDOWS_SYSTEM[name]
        if name.startswith(("winlog.", "event.")) or name == "@timestamp":
            return (name,)
        names = [name]
        if name in audit:
            names.append(audit[name])
        # Sigma writes names without the spaces that some providers use: ThreatName for "Threat Name".
        if (spaced := _HUMPS.sub(" ", name.replace("_", " "))) != name and source.service == "windefend":
            names.append(spaced)
        return tuple(f"winlog.event_data.{each}" for each in names)

    return mapped
