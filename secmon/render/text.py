"""What a text may hold on paper: nothing invisible, nothing that turns the reading order round."""

import math
import re
import unicodedata
from datetime import date

# C0 and C1 controls, lone surrogates and noncharacters cannot stand in XML; bidirectional controls and zero-width
# characters (Unicode category Cf) show something else than what is there. ZWJ and ZWNJ stay: scripts need them.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0x110000, 0x10000))
    + "]"
)
_DATE = re.compile(r"([0-9]{4})年([0-9]{1,2})月([0-9]{1,2})日")
_UNDATED = date(2000, 1, 1)
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")


def code_point(character: str) -> str:
    """Return "[U+202E]": how a character that cannot be printed is written, so that nobody overlooks it."""
    return f"[U+{ord(character):04X}]"


def printable(text: str) -> str:
    """Return `text` as it may be printed: line ends are line feeds, tabs are spaces, the unprintable is spelt out."""
    one_kind = _LINE_ENDS.sub("\n", text).replace("\t", " ")
    return _UNPRINTABLE.sub(lambda found: code_point(found[0]), one_kind)


def width_em(text: str) -> float:
    """Return the width of `text` in Han characters, estimated: wide ones count 1, all others a half."""
    return sum(1.0 if unicodedata.east_asian_width(character) in "WFA" else 0.5 for character in text)


def line_count(text: str, line_em: float) -> int:
    """Return how many lines of `line_em` Han characters `text` will fill, estimated."""
    return sum(max(1, math.ceil(width_em(line) / line_em)) for line in text.split("\n"))


def file_date(written: str) -> date:
    """Return 成文日期 as the date in a file's own properties.

    Before the document has one it is 1 January 2000: a clock would make equal documents different files.
    """
    found = _DATE.fullmatch(written)
    if found is None:
        return _UNDATED
    try:
        return date(*map(int, found.groups()))
    except ValueError:
        return _UNDATED
