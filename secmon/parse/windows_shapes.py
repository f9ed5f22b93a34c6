"""The three shapes in which Windows events travel as JSON, each to one verbatim event.

- flat: System and EventData side by side at the top (nxlog's to_json, the OTRF data sets, `Get-WinEvent`);
- nested: `{"Event": {"System": …, "EventData": …}}`, the XML laid out as JSON (evtx_dump, chainsaw, Velociraptor);
- winlogbeat: `winlog.*` with ECS beside it, nested or dotted.

Every EventData value becomes text under `winlog.event_data.<Name>`, names as they are, blanks included. Unnamed
values are a list under `Data`, as Sigma's rules for classic logs expect. UserData is the same thing from another
kind of provider and goes to the same place. A value that stands inside another gets both names, joined by "_",
which is Sigma's convention. Where `@timestamp` is not known yet, it is left out.
"""

from typing import Any

from secmon.errors import ParseError
from secmon.model.event import Event, Record, Value
from secmon.parse.ecs_reserved import set_aside
from secmon.parse.json_text import MAX_FIELDS, MAX_NAME, TOO_LONG_NAME, TOO_MANY_FIELDS, flatten, scalars, text_of
from secmon.parse.windows_meaning import EVENT_DATA

# Flat names that are System values (or a shipper's), and the field each becomes; all others are EventData.
_FLAT_SYSTEM = {
    "EventID": "event.code",
    "Channel": "winlog.channel",
    "Provider_Name": "winlog.provider_name",
    "ProviderName": "winlog.provider_name",
    "SourceName": "winlog.provider_name",
    "Computer": "winlog.computer_name",
    "Hostname": "winlog.computer_name",
    "EventRecordID": "winlog.record_id",
    "RecordNumber": "winlog.record_id",
    "RecordId": "winlog.record_id",
    "Level": "winlog.level",
    "Task": "winlog.task",
    "Opcode": "winlog.opcode",
    "Keywords": "winlog.keywords",
    "Version": "winlog.version",
    "Provider_Guid": "winlog.provider_guid",
    "ProviderGuid": "winlog.provider_guid",
    "Execution_ProcessID": "winlog.process.pid",
    "ExecutionProcessID": "winlog.process.pid",
    "Execution_ThreadID": "winlog.process.thread.id",
    "ThreadID": "winlog.process.thread.id",
    "Correlation_ActivityID": "winlog.activity_id",
    "ActivityID": "winlog.activity_id",
    "Security_UserID": "winlog.user.identifier",
    "UserID": "winlog.user.identifier",
    "Message": "message",
    # Times: read separately.
    "SystemTime": "",
    "TimeCreated": "",
    "EventTime": "",
    "@timestamp": "",
}


class _FieldNames(dict[str, str]):
    """EventData name → field name; a bounded cache, since each event repeats the names of its kind."""

    _MOST = 8192
    _LONGEST = 100

    def __missing__(self, name: str) -> str:
        field = EVENT_DATA + name
        if len(self) < self._MOST and len(name) <= self._LONGEST:
            self[name] = field
        return field


_names = _FieldNames()


def check_bounds(event: Event, record: Record) -> None:
    """Refuse what no Windows event has.

    Raises:
        ParseError: more than `MAX_FIELDS` fields, or a name longer than `MAX_NAME`.
    """
    if len(event) > MAX_FIELDS:
        raise ParseError(TOO_MANY_FIELDS, where=record.where)
    if max(map(len, event), default=0) > MAX_NAME:
        raise ParseError(TOO_LONG_NAME, where=record.where)


def read_flat(members: dict[str, Any]) -> tuple[Event, bool]:
    """Return the verbatim event of a flat object, and whether every number in it could be kept as written."""
    event: Event = {}
    exact = True
    system, names = _FLAT_SYSTEM, _names
    for name, value in members.items():
        kind = type(value)
        if kind is not str:
            if value is None:
                continue
            if kind is int:
                value = str(value)  # noqa: PLW2901  this is the point of the loop
            elif kind is dict and name in ("EventData", "UserData"):
                _read_data(event, value)
                continue
            else:
                exact = exact and kind is bool
                _put(event, system.get(name) or names[name], value)
                continue
        field = system.get(name)
        if field is None:
            event[names[name]] = value
        elif field:
            event[field] = value
    return event, exact


def read_nested(members: dict[str, Any]) -> Event:
    """Return the verbatim event of `{"System": …, "EventData": …}`."""
    event: Event = {}
    system = members.get("System")
    if isinstance(system, dict):
        _read_system(event, system)
    for part, value in members.items():
        if part == "RenderingInfo" and isinstance(value, dict):
            _put(event, "message", value.get("Message"))
        elif part not in _NOT_DATA and isinstance(value, dict):
            _read_data(event, value)
    return event


_NOT_DATA = frozenset(("System", "RenderingInfo", "#attributes", "xmlns", "Event_attributes"))

# Where a System element's attribute goes.
_ATTRIBUTES = {
    ("Provider", "Name"): "winlog.provider_name",
    ("Provider", "Guid"): "winlog.provider_guid",
    ("Execution", "ProcessID"): "winlog.process.pid",
    ("Execution", "ThreadID"): "winlog.process.thread.id",
    ("Correlation", "ActivityID"): "winlog.activity_id",
    ("Correlation", "RelatedActivityID"): "winlog.related_activity_id",
    ("Security", "UserID"): "winlog.user.identifier",
}
_ELEMENTS = {
    "EventID": "event.code",
    "Version": "winlog.version",
    "Level": "winlog.level",
    "Task": "winlog.task",
    "Opcode": "winlog.opcode",
    "Keywords": "winlog.keywords",
    "EventRecordID": "winlog.record_id",
    "Channel": "winlog.channel",
    "Computer": "winlog.computer_name",
}


def _read_system(event: Event, system: dict[str, Any]) -> None:
    for name, field in _ELEMENTS.items():
        value = _content(system.get(name))
        if value is not None:
            _put(event, field, value)
    for (name, attribute), field in _ATTRIBUTES.items():
        value = attribute_of(system, name, attribute)
        if value is not None:
            _put(event, field, value)


def attribute_of(parent: dict[str, Any], name: str, attribute: str) -> Any:
    """Return an attribute of a child element, in any of the ways in which XML is written as JSON."""
    for holder in (parent.get(name), parent.get(f"{name}_attributes")):
        if not isinstance(holder, dict):
            continue
        inner = holder.get("#attributes")
        for place in (inner if isinstance(inner, dict) else {}, holder):
            for key in (attribute, f"@{attribute}"):
                if key in place:
                    return place[key]
    return None


def _content(value: Any) -> Any:
    """Return the text of an element: what is left when its attributes are taken off."""
    if not isinstance(value, dict):
        return value
    for key in ("#text", "Value", "text"):
        if key in value:
            return value[key]
    return None


def _read_data(event: Event, data: dict[str, Any], prefix: str = "") -> None:
    """Take over the children of EventData or of UserData."""
    for name, value in data.items():
        if name == "#attributes":
            _read_attributes(event, value, prefix)
        elif name == "Data":
            _read_unnamed(event, value, prefix)
        elif isinstance(value, dict):
            _read_element(event, prefix + name, value)
        elif value is not None:
            _put(event, _names[prefix + name], value)


def _read_element(event: Event, name: str, value: dict[str, Any]) -> None:
    """Take over one element that has attributes or children.

    A first level of UserData is a wrapper whose name says nothing (`EventXML`, `LogFileCleared`): its children keep
    their own names. Deeper ones carry the name of what they stand in.
    """
    content = _content(value)
    if content is not None:
        _put(event, _names[name], content)
        _read_attributes(event, value.get("#attributes"), f"{name}_")
        return
    _read_children(event, value)


def _read_children(event: Event, wrapper: dict[str, Any]) -> None:
    stack: list[tuple[str, dict[str, Any]]] = [("", wrapper)]
    while stack:
        prefix, members = stack.pop()
        for name, value in members.items():
            if name == "#attributes":
                _read_attributes(event, value, prefix)
            elif isinstance(value, dict) and len(prefix) <= MAX_NAME:
                content = _content(value)
                if content is None:
                    stack.append((f"{prefix}{name}_", value))
                else:
                    _put(event, _names[prefix + name], content)
            elif value is not None:
                _put(event, _names[prefix + name], value)


def _read_attributes(event: Event, attributes: Any, prefix: str) -> None:
    if not isinstance(attributes, dict):
        return
    for name, value in attributes.items():
        if value is not None and not name.startswith("xmlns"):
            _put(event, _names[f"{prefix}{name}"], value)


def _read_unnamed(event: Event, value: Any, prefix: str) -> None:
    """Take over `<Data>` elements: named ones by their name, the others as a list under "Data"."""
    items = value if isinstance(value, list) else [value]
    for item in items:
        if isinstance(item, dict):
            name = attribute_of({"Data": item}, "Data", "Name")
            field = _names[prefix + (name if isinstance(name, str) else "Data")]
            content = _content(item)
            for part in content if isinstance(content, list) else [content]:
                _add(event, field, part)
        else:
            _add(event, _names[prefix + "Data"], item)


def _put(event: Event, field: str, value: Any) -> None:
    """Set a field to the text of a value; lists keep one text for each item."""
    if value is None:
        return
    event[field] = [text_of(item) for item in value if item is not None] if isinstance(value, list) else text_of(value)


def _add(event: Event, field: str, value: Any) -> None:
    """Set a field, or make it a list if it is there already."""
    if value is None:
        return
    present = event.get(field)
    event[field] = text_of(value) if present is None else [*scalars(present), text_of(value)]


# winlogbeat's own names → ours, where they differ.
_USER_DATA = "winlog.user_data."


def read_winlogbeat(members: dict[str, Any], record: Record) -> Event:
    """Return the verbatim event of a document by winlogbeat; its ECS fields stay, `winlog.*` becomes text.

    Raises:
        ParseError: it breaks a bound (`json_text.flatten`).
    """
    event: Event = {}
    for name, value in set_aside(flatten(members, record)).items():
        if name.startswith(_USER_DATA):
            event.setdefault(EVENT_DATA + name[len(_USER_DATA) :], _as_text(value))
        elif name.startswith("winlog."):
            event[name] = _as_text(value)
        else:
            event[name] = value
    code = event.pop("winlog.event_id", None) or event.get("event.code")
    if code is not None:
        event["event.code"] = _as_text(code)
    return event


def _as_text(value: Value) -> Value:
    return [text_of(item) for item in value] if isinstance(value, list) else text_of(value)
