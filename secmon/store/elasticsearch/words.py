"""The words of a JSON object as one text that the `whitespace` analysis cuts into exactly them (`model.text`)."""

from collections.abc import Mapping
from typing import Any, Final

from secmon.model.text import words

# ASCII: letters and digits stay, in lower case; everything else parts words.
_ASCII_WORDS: Final = bytes(
    ord(chr(byte).lower()) if byte < 128 and chr(byte).isalnum() else ord(" ")  # noqa: PLR2004  ASCII
    for byte in range(256)
)
# Words of a question that are looked up; the phrase itself is decided by reading.
_MAX_ASKED: Final = 64
# The analysis cuts longer words into pieces of this many UTF-16 units.
PIECE: Final = 255


def indexed_words(body: bytes, parsed: Mapping[str, Any]) -> str:
    """Return the different words of a JSON object's texts, parted by spaces; perhaps some of its names too.

    Args:
        body: the object as JSON.
        parsed: the same, parsed.
    """
    if body.isascii() and b"\\" not in body:
        # Plain ASCII, as most log lines: one pass over bytes. Names are words then as well; reading decides.
        return b" ".join(dict.fromkeys(body.translate(_ASCII_WORDS).split())).decode()
    found: dict[str, None] = {}
    stack: list[Any] = [parsed]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            found.update(dict.fromkeys(words(item)))
        elif isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return " ".join(found)


def words_query(field: str, phrase: list[str]) -> dict[str, Any]:
    """Return the query for documents that hold all words of a phrase; never misses one that holds the phrase."""
    asked = " ".join(dict.fromkeys(phrase[:_MAX_ASKED]))
    return {"match": {field: {"query": asked, "operator": "and"}}}
