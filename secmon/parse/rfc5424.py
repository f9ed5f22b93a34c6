"""The header of RFC 5424 syslog: `1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`."""

import re
from dataclasses import dataclass, field

from secmon.model.event import Event

# What a version 1 header starts with; anything else behind a priority is RFC 3164.
STARTS = re.compile(r"1 (?:-|\d{4}-\d\d-\d\dT)\S* ", re.ASCII)
_STAMP = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))|-"
_HEADER = re.compile(rf"1 (?:{_STAMP}) (\S{{1,255}}) (\S{{1,255}}) (\S{{1,128}}) (\S{{1,32}}) ", re.ASCII)
_SD_NAME = r'[^\s=\]"]{1,128}'
_ELEMENT = re.compile(rf'\[({_SD_NAME})((?: {_SD_NAME}="(?:[^"\\\]]++|\\.)*+")*+)\]', re.DOTALL)
_PARAMETER = re.compile(rf' ({_SD_NAME})="((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\\]])')
_BYTE_ORDER_MARK = "\ufeff"
# More parameters than this in one message are kept in its text only.
MAX_PARAMETERS = 100


@dataclass(frozen=True, slots=True)
class Header:
    """One header and the message behind it; what is "-" (NILVALUE) in the record is empty here.

    Args:
        structured_data: `log.syslog.structured_data.<SD-ID>.<PARAM-NAME>`, a name given twice as a list; a dot
            in a name becomes "_", so that no name lies below another.
    """

    stamp: str
    host: str
    app: str
    procid: str
    msgid: str
    message: str
    structured_data: Event = field(default_factory=dict)


def read(text: str, start: int) -> Header:
    """Read the header that begins at `start`.

    Raises:
        ValueError: it breaks the format.
    """
    found = _HEADER.match(text, start)
    if found is None:
        raise ValueError("not the header of RFC 5424")
    stamp, *names = found.groups()
    host, app, procid, msgid = ("" if name == "-" else name for name in names)
    data, end = _structured_data(text, found.end())
    message = text[end + 1 :].removeprefix(_BYTE_ORDER_MARK)
    return Header(stamp or "", host, app, procid, msgid, message, data)


def _structured_data(text: str, start: int) -> tuple[Event, int]:
    """Return the structured data as fields, and where it ends."""
    data: dict[str, list[str]] = {}
    count, at = 0, start
    while element := _ELEMENT.match(text, at):
        at = element.end()
        for name, value in _PARAMETER.findall(element[2]):
            count += 1
            if count <= MAX_PARAMETERS:
                key = f"{element[1].replace('.', '_')}.{name.replace('.', '_')}"
                data.setdefault(key, []).append(_ESCAPE.sub(r"\1", value))
    if at == start and text.startswith("-", start):
        at += 1
    if at == start or (at < len(text) and text[at] != " "):
        raise ValueError("broken structured data")
    prefix = "log.syslog.structured_data."
    return {prefix + key: values if len(values) > 1 else values[0] for key, values in data.items()}, at
