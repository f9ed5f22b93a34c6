"""Values of an event as Sigma compares them: one text form, one folding of case, one reading of numbers.

Sources: Sigma specification 2.1 (values, modifiers); Unicode Character Database, UnicodeData.txt, field
Simple_Lowercase_Mapping.
"""

import re
from collections.abc import Iterator

from secmon.model.event import Scalar, Value

# A number in text form: what JSON allows, a sign and leading zeros included; no "nan", "inf", "1_000".
_NUMBER = re.compile(r"[+-]?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")

# Largest float whose neighbours are still whole numbers apart: beyond it a float is not "the same number".
MAX_EXACT = 2**53


def text_of(value: Scalar) -> str:
    """Return the one text form of a value: `4625` and `4625.0` and "4625" are the same; booleans in lower case."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT:
        return str(int(value))
    return str(value)


def texts_of(value: Value | None) -> Iterator[str]:
    """Return the text of every value of a field; nothing for an absent or empty one."""
    if value is None:
        return
    if isinstance(value, list):
        for item in value:
            if item is not None:  # a JSON null inside an array carries no value
                yield text_of(item)
    else:
        yield text_of(value)


def fold(text: str) -> str:
    """Return `text` lower-cased character by character (Unicode simple lower-casing).

    The result has as many characters as `text`: that is what keeps `?` one character. It differs from
    `str.lower` in U+0130 (İ, full mapping: two characters) and in the final sigma, which is not simple.
    """
    if text.isascii():
        return text.lower()
    return text.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()


def utf8(text: str) -> bytes:
    """Return bytes for byte-wise scanners; lone surrogates keep a form of their own."""
    return text.encode("utf-8", "surrogatepass")


def readable_utf8(text: str) -> bytes:
    """Return valid UTF-8 for regular expressions: a lone surrogate reads as U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def number_of(text: str) -> int | float | None:
    """Return the number that a text is, exactly where it is whole, or None."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return None
