"""Views of a text: the same text with escapes undone, each character knowing where it stands in the source.

Values hide behind percent-encoding (URLs), backslash escapes (JSON in JSON, any number of times) and full-width
digits. A detector looks at every view; what it finds is masked in the source, where it stands.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_MAX_LAYERS = 2

# Backslashes are taken all or none, from the first one on: a long run of them must not be tried from each place.
_ESCAPE = re.compile(r"(?:%[0-9A-Fa-f]{2})++|(?<!\\)(?:\\++u[0-9A-Fa-f]{4})++|(?<!\\)\\++[nrtbf\"'/]")
_UNICODE_ESCAPE = re.compile(r"\\++u([0-9A-Fa-f]{4})")
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_TRANSLATED = re.compile("[０-９Ａ-Ｚａ-ｚ＠：＝\ud800-\udfff]")
_WIDE = (*range(0xFF10, 0xFF1B), 0xFF1D, *range(0xFF20, 0xFF3B), *range(0xFF41, 0xFF5B))
# A lone surrogate cannot be written as UTF-8, and so not be searched by RE2.
_TRANSLATION = {wide: wide - 0xFEE0 for wide in _WIDE} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)


class View(NamedTuple):
    """A text as a detector sees it.

    `starts[i]` is where character i begins in the source, with one more entry for the end; None: the same place.
    """

    text: str
    starts: list[int] | None = None

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span in the source of a span in the view."""
        return (start, end) if self.starts is None else (self.starts[start], self.starts[end])


def views(text: str) -> list[View]:
    """Return the views of a text: itself, then with one layer and with two layers of escapes undone."""
    view = View(text)
    found = [_narrow(view)]
    for _ in range(_MAX_LAYERS):
        if "%" not in view.text and "\\" not in view.text:
            break
        unescaped = _unescape(view)
        if unescaped is None:
            break
        view = unescaped
        found.append(_narrow(view))
    return found


def _narrow(view: View) -> View:
    """Write full-width letters and digits as ASCII, lone surrogates as U+FFFD; the places stay the same."""
    if view.text.isascii() or _TRANSLATED.search(view.text) is None:
        return view
    return View(view.text.translate(_TRANSLATION), view.starts)


def _unescape(view: View) -> View | None:
    """Undo one layer of escapes; None if there are none."""
    parts: list[str] = []
    starts: list[int] = []
    end = 0
    for found in _ESCAPE.finditer(view.text):
        starts.extend(range(end, found.start()))
        parts.append(view.text[end : found.start()])
        decoded, places = _decoded(found[0])
        parts.append(decoded)
        starts.extend(found.start() + place for place in places)
        end = found.end()
    if not parts:
        return None
    parts.append(view.text[end:])
    starts.extend(range(end, len(view.text) + 1))
    if view.starts is not None:
        outer = view.starts
        starts = [outer[place] for place in starts]
    return View("".join(parts), starts)


def _decoded(escape: str) -> tuple[str, list[int]]:
    """Return what a run of escapes stands for, and where in the run each of its characters begins."""
    if escape[0] == "%":
        return _percent_decoded(escape)
    if "u" in escape:
        return _unicode_decoded(escape)
    return _CONTROLS.get(escape[-1], escape[-1]), [0]


def _percent_decoded(escape: str) -> tuple[str, list[int]]:
    """Decode %XX as UTF-8, else GB18030 (old systems), else byte for byte."""
    data = unquote_to_bytes(escape)
    for encoding in ("utf-8", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        places, place = [], 0
        for character in text:
            places.append(place)
            place += 3 * len(character.encode(encoding))
        if place == len(escape):
            return text, places
    return data.decode("latin-1"), list(range(0, len(escape), 3))


def _unicode_decoded(escape: str) -> tuple[str, list[int]]:
    """Decode a run of unicode escapes, joining surrogate pairs."""
    characters: list[str] = []
    places: list[int] = []
    for found in _UNICODE_ESCAPE.finditer(escape):
        code = int(found[1], 16)
        if code in _LOW and characters and ord(characters[-1]) in _HIGH:
            high = ord(characters.pop())
            characters.append(chr(0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)))
            continue
        characters.append(chr(code))
        places.append(found.start())
    return "".join(characters), places
