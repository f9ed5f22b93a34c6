"""Events whose fields are called as rules call them: routes and names for input that no parser of ours has mapped.

Windows: EventID, Channel, Provider_Name and the names of EventData, all on one level, as nxlog, Sigma's taxonomy and
most data sets have them. Events that were mapped to ECS by others (winlogbeat) are accepted beside them, for rules
whose fields a pySigma pipeline maps to ECS.
"""

from functools import lru_cache

from secmon.sigma.fields import FieldMap, UnknownFieldError, field_map
from secmon.sigma.routing import Route, route
from secmon.sigma.rule import LogSource
from secmon.sigma.source_shapes import Alternative

_EVENT_DATA = "winlog.event_data."
_NAMES = {
    "event.code": "EventID",
    "message": "Message",
    "winlog.channel": "Channel",
    "winlog.computer_name": "Computer",
    "winlog.keywords": "Keywords",
    "winlog.level": "Level",
    "winlog.opcode": "Opcode",
    "winlog.provider_name": "Provider_Name",
    "winlog.record_id": "EventRecordID",
    "winlog.task": "Task",
}

# Who writes to the channels that our parsers know by the provider alone.
_PROVIDERS = {
    "windows.sysmon": "microsoft-windows-sysmon",
    "windows.security": "microsoft-windows-security-auditing",
}

# (channel or provider, event ids) that our parsers call authentication.
AUTHENTICATION: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    (
        "Channel",
        "security",
        (4624, 4625, 4634, 4647, 4648, 4768, 4769, 4770, 4771, 4772, 4773, 4776, 4777, 4778, 4779),
    ),
    ("Provider_Name", "microsoft-windows-terminalservices-localsessionmanager", (21, 23, 24, 25)),
    ("Provider_Name", "microsoft-windows-terminalservices-remoteconnectionmanager", (1149,)),
)


def native_fields(source: LogSource, taxonomy: str) -> FieldMap:
    """Return the function from a rule's field name to fields of native events; no name is unknown."""
    mapped = field_map(source, taxonomy)

    def named(name: str) -> tuple[str, ...]:
        if taxonomy == "ecs" or "." in name:
            return (name,)
        try:
            fields = mapped(name)
        except UnknownFieldError:
            return (name,)
        if source.product != "windows":
            return tuple(dict.fromkeys((name, *fields)))
        return tuple(dict.fromkeys(_NAMES.get(field, field.removeprefix(_EVENT_DATA)) for field in fields))

    return named


@lru_cache(maxsize=1024)
def native_route(source: LogSource) -> Route | None:
    """Return the route of a log source over native events and over ECS, None if nobody has such a log."""
    found = route(source)
    if found is None or source.product != "windows":
        return found
    return Route(tuple(tuple(_with_native(options)) for options in found.requirements))


def _with_native(options: tuple[Alternative, ...]) -> list[Alternative]:
    alternatives = list(options)
    for option in options:
        alternatives += _native(option)
    return [option for place, option in enumerate(alternatives) if option not in alternatives[:place]]


def _native(option: Alternative) -> list[Alternative]:
    """Return what an alternative over ECS means for native events; nothing where they cannot tell."""
    if "event.category" in option:
        return [
            {name: frozenset({value}), "EventID": frozenset(map(str, codes))} for name, value, codes in AUTHENTICATION
        ]
    if "event.module" in option:
        return [{"Provider_Name": frozenset()}]
    renamed: dict[str, frozenset[str]] = {}
    for name, accepted in option.items():
        if name == "event.dataset":
            providers = frozenset(_PROVIDERS[dataset] for dataset in accepted if dataset in _PROVIDERS)
            if not providers:
                return []
            renamed["Provider_Name"] = providers
        else:
            renamed[_NAMES.get(name, name)] = accepted
    return [renamed]
