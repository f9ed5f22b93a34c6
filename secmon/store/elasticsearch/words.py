"""The words of a JSON object as one text that the `whitespace` analysis cuts into exactly them (`model.text`)."""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from secmon.model.text import words

# ASCII: letters and digits stay, in lower case; everything else parts words.
_ASCII_WORDS: Final = bytes(
    ord(chr(byte).lower()) if byte < 128 and chr(byte).isalnum() else ord(" ")  # noqa: PLR2004  ASCII
    for byte in range(256)
)
# Words of a question that are looked up; the phrase itself is decided by reading.
_MAX_ASKED: Final = 64
# Of characters that are no part of a word.
_ESCAPES: Final = (b"\\n", b"\\r", b"\\t", b"\\b", b"\\f")


def indexed_words(body: bytes) -> bytes:
    """Return the different words of a compact JSON object's texts, parted by spaces, and those of its names.

    UTF-8; words are letters and digits, so it can stand in JSON as it is.

    The object is read as one text: what JSON itself adds parts words, and a word too many only costs a reading.
    """
    text = _unescaped(body)
    if text is None:
        parsed: Any = orjson.loads(body)
        return " ".join(dict.fromkeys(word for each in _texts(parsed) for word in words(each))).encode()
    if text.isascii():
        return b" ".join(dict.fromkeys(text.translate(_ASCII_WORDS).split()))
    return " ".join(dict.fromkeys(words(text.decode()))).encode()


def _unescaped(body: bytes) -> bytes | None:
    """Return JSON with a space for each escape that parts words; None if it holds escapes of any character."""
    if b"\\" not in body:
        return body
    text = body.replace(b"\\\\", b" ").replace(b'\\"', b" ")
    if b"\\" in text:
        for escape in _ESCAPES:
            text = text.replace(escape, b" ")
    return None if b"\\" in text else text


def _texts(value: Any) -> Iterator[str]:
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, int) and not isinstance(item, bool):
            yield str(item)  # as it stands in a body without escapes
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def words_query(field: str, phrase: list[str]) -> dict[str, Any]:
    """Return the query for documents that hold all words of a phrase; never misses one that holds the phrase."""
    asked = " ".join(dict.fromkeys(phrase[:_MAX_ASKED]))
    return {"match": {field: {"query": asked, "operator": "and"}}}
