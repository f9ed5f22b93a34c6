"""The last check before a text from outside enters a document that leaves the house.

Whatever reached this point was masked at ingest already; this is the second lock on the same door: a document must
never carry a whole identity, card or telephone number, whichever parser or register the text came through.
"""

import re

# Seven digits and more, perhaps with an identity number's X: mobile (11), 学籍号 and identity (15, 18), card (16–19).
_LONG_NUMBER = re.compile(r"[0-9]{7,}[Xx]?")
# C0 and C1 controls, bidirectional overrides, lone surrogates and the two non-characters of XML 1.0.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_KEEP_START, _KEEP_END = 3, 2
_ELLIPSIS = "…"


def clean(text: str) -> str:
    """Return a text of our own registers with every character that no document format can hold as U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def shield(text: str, *, max_chars: int = 200) -> str:
    """Return a text that may stand in a document.

    Runs of seven and more digits keep their first three and last two characters; characters that no document
    format can hold become U+FFFD; what is longer than `max_chars` is cut.
    """
    safe = clean(_LONG_NUMBER.sub(_starred, text))
    return safe if len(safe) <= max_chars else safe[:max_chars] + _ELLIPSIS


def _starred(match: re.Match[str]) -> str:
    number = match.group()
    return number[:_KEEP_START] + "*" * (len(number) - _KEEP_START - _KEEP_END) + number[-_KEEP_END:]
