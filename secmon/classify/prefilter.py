r"""Which places of a large buffer are worth a detailed look: one NumPy pass over digit runs, one Hyperscan scan.

The buffer is UTF-8 bytes of many events or lines. A hit says "class c may stand near byte n"; it may be wrong, but
where the detector would find something there must be a hit inside the same event or line. Byte mode, no UTF-8
flag, ASCII boundaries (a Han pattern would be taken for single bytes, and \b for Unicode words).
"""

from collections.abc import Callable, Iterator, Sequence

import hyperscan
import numpy as np
from numpy.typing import NDArray

from secmon.classify.definition import Definition
from secmon.classify.digits import DigitRuns, digit_runs
from secmon.classify.keys import words_of
from secmon.model.patterns import Compiler, Patterns, compiled

Places = NDArray[np.int64]

# Classes have one bit each in an int64; any beyond share the last one.
_LAST_BIT = 61
_ALL_BITS = (1 << 62) - 1

# What may stand before a value: no ASCII word character, or an escape that ends in one.
_LEFT = r"(?:[^0-9A-Za-z]|\\[nrtbf]|%[0-9A-F]{2}|\\u[0-9A-F]{4})"
_RIGHT = r"[^0-9A-Za-z]"
# The sign between key and value, in any spelling, and the quotes around it.
_SEPARATOR = (
    r"[_.\-]*[\"'\\]{0,8}(?:%22|%27|\\+u0022)?(?:\s|%20|\\+[nrt]){0,2}"
    r"(?:[:=]|\xef\xbc\x9a|\xef\xbc\x9d|%3A|%3D|%EF%BC%9A|%EF%BC%9D|\\+u003[ad]|\\+uff1[ad])"
)
_ANY_HAN = r"(?:[\xe3-\xe9\xef-\xf4]|%[89A-F]|\\+u|\[)"
_QUOTES = r"(?:[\"'\\\[\s]|%2[0279]|%5B|\\+u0022|\\+[nrt]){0,9}"
# Numbers in groups, as the detector's `_GROUPED`.
_PART = r"(?:[- ]|%20|%2D)"
_GROUPS = (
    rf"1[3-9][0-9]{_PART}[0-9]{{4}}{_PART}[0-9]{{4}}",
    rf"[0-9]{{4}}{_PART}[0-9]{{4}}{_PART}[0-9]{{4}}{_PART}[0-9]",
    rf"[0-9]{{6}}{_PART}[0-9]{{8}}{_PART}[0-9]{{3}}",
)
# Spellings that no honest writer uses for plain letters and digits: look at everything.
_DISGUISES = (
    r"\xef\xbc[\x90-\x99\xa0-\xba]|\xef\xbd[\x81-\x9a]",  # full-width digits and letters
    r"%EF%BC%(?:9[0-9]|[AB])|%EF%BD|\\+uff(?:1[0-9]|[2-5])",
    r"%(?:3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9A]|2[BDE])",
    r"\\+u00(?:3[0-9]|4[0-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9A]|2[5BDE])",
    r"%25",
)


class Prefilter:
    """Finds the places of a buffer where a class may stand. One per process: Hyperscan's scratch is not shared.

    Args:
        definitions: the classes, in the detector's order.
        compiler: makes the database.
    """

    def __init__(self, definitions: Sequence[Definition], compiler: Compiler = compiled) -> None:
        self._digits = DigitRuns(
            [(1 << min(number, _LAST_BIT), one) for number, one in enumerate(definitions) if one.digits]
        )
        expressions: list[bytes] = []
        self._bits: list[int] = []
        for number, definition in enumerate(definitions):
            for expression in _expressions(definition):
                expressions.append(expression.encode("latin-1"))
                self._bits.append(1 << min(number, _LAST_BIT))
        grouped = self._digits.bits
        if grouped:
            expressions += [expression.encode() for expression in _GROUPS]
            self._bits += [grouped] * len(_GROUPS)
        expressions += [expression.encode() for expression in _DISGUISES]
        self._bits += [_ALL_BITS] * len(_DISGUISES)
        flags = (hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL,) * len(expressions)
        self._database = compiler(Patterns(tuple(expressions), tuple(range(len(expressions))), flags))

    def places(self, buffer: bytes) -> tuple[Places, Places]:
        """Return byte offsets of hits and the bits of the classes that may stand there, in no order."""
        hits: list[tuple[int, int]] = []
        self._database.scan(buffer, match_event_handler=_collector(hits, self._bits))
        offsets, bits = digit_runs(buffer, self._digits)
        if hits:
            table = np.array(hits, dtype=np.int64)
            offsets = np.concatenate((offsets, table[:, 0]))
            bits = np.concatenate((bits, table[:, 1]))
        return offsets, bits


def _collector(hits: list[tuple[int, int]], bits: list[int]) -> Callable[[int, int, int, int, object], None]:
    def on_match(number: int, start: int, end: int, flags: int, context: object) -> None:
        del start, flags, context
        # The last byte may be the boundary behind the value, where the next field or line begins.
        hits.append((end - 2, bits[number]))

    return on_match


def _expressions(definition: Definition) -> Iterator[str]:
    """Yield the byte patterns, written in Latin-1, that hint at a class."""
    if definition.after_key or (definition.required and definition.pattern):
        behind = ""
        if definition.after_key:
            behind = _SEPARATOR + (_QUOTES + _ANY_HAN if definition.mask.form in {"name", "address"} else "")
        for key in definition.keys:
            yield _latin_key(key) + behind if key.isascii() else _han_key(key)
    elif definition.hint:
        yield definition.hint.replace("@", r"(?:@|%40|\\+u0040)")
    elif definition.pattern:
        yield f"{_LEFT}(?:{definition.pattern})" + _RIGHT


def _latin_key(key: str) -> str:
    """Match a key written in any case, with or without signs between its words (`keys.words_of`).

    Nothing optional inside a word: Hyperscan is ten times as fast on patterns that begin with a literal.
    """
    return r"[_.\-]*".join(words_of(key))


def _han_key(key: str) -> str:
    """Match a key as UTF-8, percent-encoded (UTF-8 or GBK) or as unicode escapes."""
    utf8 = key.encode("utf-8", "replace")
    units = "".join(rf"\\+u{unit:04x}" for unit in _utf16(key))
    return "|".join((_escaped_bytes(utf8), _percent(utf8), units, _percent(key.encode("gb18030", "replace"))))


def _escaped_bytes(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


def _percent(data: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in data)


def _utf16(text: str) -> list[int]:
    data = text.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
