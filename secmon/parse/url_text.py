"""What a web address means to the server that gets it: escapes undone, in as many layers as attackers put on.

Access logs hold addresses as they were sent. Rules over them would have to spell every form of every character; so the
parsers add, where it differs from what was sent:

- `secmon.url.decoded`: the whole address. Percent-encoding (RFC 3986, section 2.1) is undone up to four times, `%uXXXX`
  (ECMA-262, annex B, `escape`) and overlong UTF-8 (which RFC 3629, section 3, forbids) too; bytes are UTF-8, else
  GB18030. `+` in the query is a blank (WHATWG URL, application/x-www-form-urlencoded). Of controls only tab and line
  ends stay, NUL is shown as ␀. SQL comments in the query are a blank, because to a database they are one.
- `secmon.url.path`: the path that is looked up. Decoded, without path parameters (`;jsessionid=…`), repeated slashes,
  `.` and `..` (RFC 3986, section 5.2.4); a backslash is a slash, as Windows servers take it.

Both come out of the record: they are classified and masked like any other text.
"""

import re
from urllib.parse import unquote_to_bytes

from secmon.model.event import Event

DECODED = "secmon.url.decoded"
PATH = "secmon.url.path"

_MAX_LAYERS = 4
# Whatever has none of these means what it says.
_SUSPECT = re.compile(r"[%+;\\\x00-\x1f\x7f-\xa0\uff02\uff07\uff0e\uff0f\uff1c\uff1e\uff3c\u2215\u2216]|//|/\.|/\*|\*/")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+|(?:%[uU][0-9A-Fa-f]{4})+")
_UNICODE = re.compile(r"%[uU]([0-9A-Fa-f]{4})")
# An ASCII character in two or three bytes. All of a run must be so: GB18030 has characters of the same bytes.
_OVERLONG = re.compile(rb"(?:[\x00-\x7f]|[\xc0\xc1][\x80-\xbf]|\xe0[\x80\x81][\x80-\xbf])+")
_LONG_FORM = re.compile(rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80\x81][\x80-\xbf]")
# What servers take for ASCII ("best fit"): quotes, brackets, dots and slashes; other wide forms are Chinese writing.
_LOOKALIKES = str.maketrans("\uff02\uff07\uff0e\uff0f\uff1c\uff1e\uff3c\u2215\u2216", "\"'./<>\\/\\")
_CONTROLS = {code: " " for code in (*range(1, 0x20), 0x7F, *range(0x80, 0xA1)) if code not in {9, 10, 13}} | {
    0: "\u2400"
}
_COMMENT = re.compile(r"/\*(?!!)(?:[^*]|\*(?!/)){0,200}\*/|/\*!\d{0,6}|\*/", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


def add_meaning(event: Event) -> None:
    """Add what the address of an event means, where that is not what it says."""
    sent = event.get("url.original")
    if not isinstance(sent, str) or _SUSPECT.search(sent) is None:
        return
    meant = decoded_url(sent)
    if meant != sent:
        event[DECODED] = meant
    path = event.get("url.path")
    if isinstance(path, str) and (found := lookup_path(path)) != path:
        event[PATH] = found


def decoded_url(sent: str) -> str:
    """Return an address with every escape undone."""
    front, mark, query = sent.partition("?")
    text = _plain(front + mark + query.replace("+", " "))
    front, mark, query = text.partition("?")
    return front + mark + _COMMENT.sub(" ", query) if mark else text


def lookup_path(path: str) -> str:
    """Return the path that a server looks up."""
    kept: list[str] = []
    segments = _plain(path).replace("\\", "/").split("/")
    for segment in segments:
        name = segment.partition(";")[0]
        if name == "..":
            del kept[-1:]
        elif name not in {"", "."}:
            kept.append(name)
    return "/" + "/".join(kept) + ("/" if kept and segments[-1] in {"", ".", ".."} else "")


def _plain(text: str) -> str:
    for _ in range(_MAX_LAYERS):
        found = _ESCAPES.sub(_unescaped, text) if "%" in text else text
        if found == text:
            break
        text = found
    return text.translate(_CONTROLS).translate(_LOOKALIKES)


def _unescaped(found: re.Match[str]) -> str:
    run = found[0]
    if run[1] in "uU":
        text = "".join(chr(int(code, 16)) for code in _UNICODE.findall(run))
        return _SURROGATE.sub("\ufffd", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    data = unquote_to_bytes(run)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if _OVERLONG.fullmatch(data):
        return _LONG_FORM.sub(_short_form, data).decode("latin-1")
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _short_form(found: re.Match[bytes]) -> bytes:
    data = found[0]
    return bytes([(data[-2] & 1) << 6 | data[-1] & 0x3F])
