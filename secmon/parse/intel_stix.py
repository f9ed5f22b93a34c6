"""Indicators of a STIX 2.1 bundle: `indicator` objects whose pattern compares single values.

Source: STIX 2.1 (OASIS Standard), sections 4.7 (indicator) and 9 (patterning). Read are `=`, `IN` and, of addresses,
`ISSUBSET`, joined by OR, within one observation or over several. AND, FOLLOWEDBY, qualifiers, and other objects say
more than one value can: such a pattern is named and left out, never cut down.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from secmon.model.indicator import Kind, Tlp, tlp_of
from secmon.parse.intel_reading import MAX_TEXT, Reading, objects_in, short, time_of

MAX_PATTERN = 64 << 10
_HASHES = frozenset({"MD5", "SHA-1", "SHA-256", "SHA-512"})
_PATHS: Mapping[str, Kind] = {
    "ipv4-addr:value": Kind.IPV4,
    "ipv6-addr:value": Kind.IPV6,
    "domain-name:value": Kind.DOMAIN,
    "url:value": Kind.URL,
    "email-addr:value": Kind.EMAIL,
    "email-message:from_ref.value": Kind.EMAIL,
    "email-message:sender_ref.value": Kind.EMAIL,
    "network-traffic:dst_ref.value": Kind.IPV4,
    **{
        f"file:hashes.{form}": Kind.HASH
        for name in _HASHES
        for form in (name, f"'{name}'", f"'{name.replace('-', '')}'")
    },
}
# TLP 1.0 marking definitions have fixed ids (STIX 2.1, 7.2.1.4).
_TLP = {
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": Tlp.CLEAR,
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": Tlp.GREEN,
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": Tlp.AMBER,
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Tlp.RED,
}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<sign>[\[\]()=,])|(?P<path>[a-z0-9-]+:[A-Za-z0-9_.'-]+)|(?P<word>[A-Za-z]+))"
)
_STRICTEST = list(Tlp)


class _UnsupportedError(Exception):
    """The pattern says more than single values."""


def read_stix(reading: Reading, bundle: Mapping[str, Any]) -> None:
    """Read the indicators of a bundle."""
    objects = list(objects_in(bundle.get("objects")))
    markings = _TLP | {
        str(each.get("id")): _marking(each) for each in objects if each.get("type") == "marking-definition"
    }
    names = {str(each.get("id")): short(each.get("name")) for each in objects if each.get("type") == "identity"}
    for number, each in enumerate(objects, start=1):
        if each.get("type") != "indicator" or each.get("revoked") is True:
            reading.skipped += 1
            continue
        _indicator(reading, each, f"object {number}", markings, names)


def _indicator(
    reading: Reading, each: Mapping[str, Any], place: str, markings: Mapping[str, Tlp], names: Mapping[str, str]
) -> None:
    if each.get("pattern_type", "stix") != "stix":
        reading.refuse("the pattern of the indicator is of another language than STIX", place)
        return
    try:
        values = list(_comparisons(each.get("pattern")))
    except _UnsupportedError:
        hint = "single values, joined by OR, are"
        reading.refuse("the pattern of the indicator is not supported", place, hint=hint)
        return
    refs = each.get("object_marking_refs")
    marked = (
        [markings[ref] for ref in refs if isinstance(ref, str) and ref in markings] if isinstance(refs, list) else []
    )
    for kind, value in values:
        reading.add(
            kind,
            value,
            place,
            name=each.get("name"),
            source=names.get(str(each.get("created_by_ref"))),
            confidence=each.get("confidence"),
            tlp=max(marked, key=_STRICTEST.index, default=Tlp.UNMARKED),
            since=time_of(each.get("valid_from")),
            until=time_of(each.get("valid_until")),
        )


def _marking(each: Mapping[str, Any]) -> Tlp:
    definition = each.get("definition")
    written = definition.get("tlp") if isinstance(definition, dict) else each.get("name")
    return tlp_of(str(written)[:MAX_TEXT])


def _comparisons(pattern: object) -> Iterator[tuple[Kind, str]]:
    """Yield what a pattern compares with.

    Raises:
        _UnsupportedError: it is no pattern, or more than single values.
    """
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        raise _UnsupportedError
    tokens = list(_tokens(pattern))
    place = 0
    while True:
        place = _take(tokens, place, "[")
        while True:
            found, place = _comparison(tokens, place)
            yield from found
            if tokens[place : place + 1] != ["OR"]:
                break
            place += 1
        place = _take(tokens, place, "]")
        if place == len(tokens):
            return
        place = _take(tokens, place, "OR")


def _tokens(pattern: str) -> Iterator[str]:
    place, end = 0, len(pattern.rstrip())
    while place < end:
        found = _TOKEN.match(pattern, place)
        if found is None:
            raise _UnsupportedError
        place = found.end()
        yield found[0].strip()


def _take(tokens: list[str], place: int, wanted: str) -> int:
    if tokens[place : place + 1] != [wanted]:
        raise _UnsupportedError
    return place + 1


def _comparison(tokens: list[str], place: int) -> tuple[list[tuple[Kind, str]], int]:
    """Return what one comparison names, and the place behind it."""
    path, operator, *_ = (*tokens[place : place + 2], "", "")
    kind = _PATHS.get(path)
    if kind is None:
        raise _UnsupportedError
    if operator == "IN":
        place = _take(tokens, place + 2, "(")
        values = [_text(tokens, place)]
        while tokens[place + 1 : place + 2] == [","]:
            place += 2
            values.append(_text(tokens, place))
        place = _take(tokens, place + 1, ")")
    elif operator == "=" or (operator == "ISSUBSET" and kind in {Kind.IPV4, Kind.IPV6}):
        values, place = [_text(tokens, place + 2)], place + 3
    else:
        raise _UnsupportedError
    return [(_kind(path, kind, value), value) for value in values], place


def _kind(path: str, kind: Kind, value: str) -> Kind:
    """Return the kind of a value; the end of a connection may have an address of either version."""
    return Kind.IPV6 if path.startswith("network-traffic") and ":" in value else kind


def _text(tokens: list[str], place: int) -> str:
    token = tokens[place] if place < len(tokens) else ""
    if not token.startswith("'"):
        raise _UnsupportedError
    return re.sub(r"\\(.)", r"\1", token[1:-1])
