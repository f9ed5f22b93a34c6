"""A sample of lines, and which of them hold a text: what gates are chosen by (`gate.py`)."""

from collections.abc import Iterable

from secmon.sigma.literals import NOT_ASCII

_GRAM = 4


class Sample:
    """Which lines of a sample hold a text.

    Args:
        lines: the sample.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._sample = [line.lower() for line in lines]
        self.count = len(self._sample)
        """How many there are."""
        # Most texts stand in none of the lines, and have a few bytes that stand in none either.
        joined = b"\n".join(self._sample)
        self._grams: set[int] = set()
        for at in range(_GRAM):
            size = (len(joined) - at) // _GRAM * _GRAM
            self._grams.update(memoryview(joined)[at : at + size].cast("I"))
        self._known: dict[bytes, int] = {}

    def lines(self, text: bytes) -> int:
        """Return the lines as the bits of a number."""
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self._find(text)
        return found

    def _find(self, text: bytes) -> int:
        if text == NOT_ASCII:
            held = [not line.isascii() for line in self._sample]
        elif len(text) >= _GRAM and not self._grams.issuperset(
            memoryview(text)[: len(text) // _GRAM * _GRAM].cast("I")
        ):
            return 0
        else:
            held = [text in line for line in self._sample]
        return sum(1 << number for number, holds in enumerate(held) if holds)
