"""Indicators in CSV: a head line with `value`, and whatever else is known; without a head one value a line.

UTF-8, else GB18030. Values may be defanged ("hxxp://bad[.]example[.]net"). Columns: `value` (or `indicator`), `type`,
`name`, `source`, `confidence`, `tlp`, `valid_from`, `valid_until`. Lines that begin with "#" are comments.
"""

import csv

from secmon.model.indicator import Kind, guessed_kind, refanged, tlp_of
from secmon.parse.intel_reading import Reading, time_of

_VALUES = ("value", "indicator")
_COLUMNS = frozenset({*_VALUES, "type", "name", "source", "confidence", "tlp", "valid_from", "valid_until"})
_KINDS = {
    **{kind.value: kind for kind in Kind},
    "ip": None,
    "hostname": Kind.DOMAIN,
    "md5": Kind.HASH,
    "sha1": Kind.HASH,
    "sha256": Kind.HASH,
    "sha512": Kind.HASH,
    "": None,
}


def read_csv(reading: Reading, data: bytes) -> None:
    """Read the lines of a file."""
    text = _text(data)
    if text is None:
        reading.refuse("the file of indicators is neither UTF-8 nor GB18030", "1", hint="save it as UTF-8")
        return
    lines = ((number, line) for number, line in enumerate(text.splitlines(), start=1) if _is_entry(line))
    head: list[str] | None = None
    for number, line in lines:
        try:
            cells = next(csv.reader([line], strict=True), [])
        except csv.Error:
            reading.refuse("this is no line of CSV", str(number))
            continue
        if head is None:
            names = [cell.strip().lower() for cell in cells]
            head = names if any(name in _VALUES for name in names) else ["value"]
            if head is names:
                _check(reading, names, number)
                continue
        _entry(reading, dict(zip(head, cells, strict=False)), number)


def _text(data: bytes) -> str | None:
    """Return the text of a file; spreadsheets save CSV in GB18030 where the system speaks Chinese."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _is_entry(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _check(reading: Reading, names: list[str], number: int) -> None:
    for name in names:
        if name not in _COLUMNS:
            known = ", ".join(sorted(_COLUMNS))
            problem = "a column of the indicators is not known and is left out"
            reading.refuse(problem, str(number), hint="known: {known}", known=known)


def _entry(reading: Reading, row: dict[str, str], number: int) -> None:
    place = str(number)
    value = refanged(row.get("value") or row.get("indicator") or "")
    written = row.get("type", "").strip().lower()
    if written not in _KINDS:
        known = ", ".join(filter(None, _KINDS))
        reading.refuse("the type of the indicator is not supported", place, hint="known: {known}", known=known)
        return
    kind = _KINDS[written] or guessed_kind(value)
    if kind is None:
        reading.refuse("this is neither address, domain, URL, hash nor e-mail address", place)
        return
    times = {name: time_of(row[column]) for name, column in _TIMES if row.get(column, "").strip()}
    if None in times.values():
        reading.refuse("this is no time of an indicator", place, hint="such as 2026-11-22 or 2026-11-22T08:00:00Z")
        return
    told = {"name": row.get("name"), "source": row.get("source"), "confidence": row.get("confidence")}
    reading.add(kind, value, place, tlp=tlp_of(row.get("tlp", "")), **told, **times)


_TIMES = (("since", "valid_from"), ("until", "valid_until"))
