"""Indicators of MISP events: attributes that are marked for detection (`to_ids`).

Source: MISP core format (draft-dulaunoy-misp-core-format). A file holds one event, a list of them, or the answer of a
search. Of a type with two parts ("ip-dst|port", "filename|sha256") the part that can be compared counts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from secmon.model.indicator import Kind, Tlp, guessed_kind, refanged, tlp_of
from secmon.parse.intel_reading import Reading, objects_in, short, time_of

# Type → kind, and which of the parts of its value it is; None: an address of either version.
_TYPES: Mapping[str, tuple[Kind | None, int]] = {
    "ip-src": (None, 0),
    "ip-dst": (None, 0),
    "ip-src|port": (None, 0),
    "ip-dst|port": (None, 0),
    "domain": (Kind.DOMAIN, 0),
    "hostname": (Kind.DOMAIN, 0),
    "hostname|port": (Kind.DOMAIN, 0),
    "domain|ip": (Kind.DOMAIN, 0),
    "url": (Kind.URL, 0),
    "email": (Kind.EMAIL, 0),
    "email-src": (Kind.EMAIL, 0),
    "email-dst": (Kind.EMAIL, 0),
    **dict.fromkeys(("md5", "sha1", "sha256", "sha512"), (Kind.HASH, 0)),
    **{f"filename|{name}": (Kind.HASH, 1) for name in ("md5", "sha1", "sha256", "sha512")},
}
_STRICTEST = list(Tlp)


def read_misp(reading: Reading, content: object) -> None:
    """Read the attributes of all events."""
    unsupported: Counter[str] = Counter()
    events = list(_events(content))
    if not events:
        hint = "CSV, a STIX 2.1 bundle, or MISP events"
        reading.refuse("the file holds no indicators of a known form", "1", hint=hint)
    for number, event in enumerate(events, start=1):
        for place, attribute in _attributes(event):
            _attribute(reading, event, attribute, f"event {number}, {place}", unsupported)
    for name, count in sorted(unsupported.items()):
        reading.refuse("{count} attributes of the type {type} are not supported", "1", count=count, type=name)


def _events(content: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, dict):
        content = content.get("response", content)
    for each in objects_in(content if isinstance(content, list) else [content]):
        event = each.get("Event", each)
        if isinstance(event, dict) and ("Attribute" in event or "Object" in event):
            yield event


def _attributes(event: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, attribute in enumerate(objects_in(event.get("Attribute")), start=1):
        yield f"attribute {number}", attribute
    for number, each in enumerate(objects_in(event.get("Object")), start=1):
        for inner, attribute in enumerate(objects_in(each.get("Attribute")), start=1):
            yield f"object {number}, attribute {inner}", attribute


def _attribute(
    reading: Reading, event: Mapping[str, Any], attribute: Mapping[str, Any], place: str, unsupported: Counter[str]
) -> None:
    if not _is_set(attribute.get("to_ids")) or _is_set(attribute.get("deleted")):
        reading.skipped += 1
        return
    kind, part = _TYPES.get(str(attribute.get("type")), (Kind.HASH, -1))
    if part < 0:
        unsupported[short(str(attribute.get("type")))[:50]] += 1
        return
    parts = str(attribute.get("value", "")).split("|")
    value = refanged(parts[min(part, len(parts) - 1)])
    kind = kind or guessed_kind(value)
    if kind is None:
        reading.refuse("this is neither address, domain, URL, hash nor e-mail address", place)
        return
    owner = event.get("Orgc")
    reading.add(
        kind,
        value,
        place,
        name=attribute.get("comment") or event.get("info"),
        source=owner.get("name") if isinstance(owner, dict) else None,
        tlp=_tlp(attribute, event),
        since=time_of(attribute.get("first_seen")),
        until=None,
        stamp=time_of(attribute.get("last_seen")) or time_of(attribute.get("timestamp")) or time_of(event.get("date")),
    )


def _tlp(*tagged: Mapping[str, Any]) -> Tlp:
    """Return the marking of the innermost that has one, the strictest where there are several."""
    for each in tagged:
        names = (str(tag.get("name", "")) for tag in objects_in(each.get("Tag")))
        found = [tlp_of(name) for name in names if name.lower().startswith("tlp:")]
        if any(found):
            return max(found, key=_STRICTEST.index)
    return Tlp.UNMARKED


def _is_set(value: object) -> bool:
    """Tell whether a flag is set: MISP writes true, 1 and "1"."""
    return str(value).lower() in {"true", "1"}
