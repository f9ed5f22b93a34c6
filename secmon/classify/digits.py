"""Digit runs of a byte buffer and the cheap vector tests that most of them fail. A superset of the validators."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from secmon.classify.definition import Definition

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Mask = NDArray[np.bool_]

_WORD = np.zeros(256, dtype=np.bool_)
_WORD[list(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")] = True
_HEX = np.zeros(256, dtype=np.bool_)
_HEX[list(b"0123456789ABCDEFabcdef")] = True
_CONTROL_LETTER = np.zeros(256, dtype=np.bool_)
_CONTROL_LETTER[list(b"nrtbf")] = True

_ID_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int64)
_ID_CHECK = np.frombuffer(b"10X98765432", dtype=np.uint8)
# Slices that fit into the processor's cache, in memory that is used again and again.
_SLICE = 256 * 1024
_LONGEST = 19
_COUNTRY = {13: b"86", 15: b"0086"}
_MOBILE_LENGTH = 11


class DigitRuns:
    """What digit runs may mean.

    Args:
        classes: (bit, definition) of the classes that consist of digits.
    """

    def __init__(self, classes: Sequence[tuple[int, Definition]]) -> None:
        self.bits = 0
        self.by_length: dict[int, list[tuple[int, str]]] = {}
        for bit, definition in classes:
            self.bits |= bit
            for length in definition.digits:
                self.by_length.setdefault(length, []).append((bit, definition.validator))
        # The runs of 18 characters may end in X, so 17 digits are enough to look.
        self.scratch = np.empty(_SLICE + 64, np.uint8), [np.empty(_SLICE + 64, np.bool_) for _ in range(2)]
        self.shortest = min((n - (n == _ID_CHARACTERS) for n in self.by_length), default=0)


_ID_CHARACTERS = 18


def digit_runs(buffer: bytes, wanted: DigitRuns) -> tuple[Places, Places]:
    """Return (offset, bits) of the digit runs that may be values."""
    if not wanted.by_length or not buffer:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    data = np.frombuffer(buffer, dtype=np.uint8)
    starts, ends = _runs(data, wanted)
    if not starts.size:
        return starts, starts
    left, right = _at(data, starts - 1), _at(data, ends)
    lengths = ends - starts
    is_x = (right | 0x20) == ord("x")
    closed = ~_WORD[right]
    if is_x.any():
        closed |= is_x & (lengths == _ID_CHARACTERS - 1) & ~_WORD[_at(data, ends + 1)]
    bits = np.zeros(starts.size, dtype=np.int64)
    plain = ~_WORD[left] & closed & (lengths <= _LONGEST)
    dotted = np.flatnonzero(plain & (left == ord(".")))
    plain[dotted] = ~_is_decimal(data, starts[dotted])
    for length in np.unique(lengths[plain]).tolist():
        chosen = np.flatnonzero(plain & (lengths == length))
        bits[chosen] |= _bits_of(data, starts[chosen], length, wanted, is_x[chosen])
    near = np.flatnonzero(_WORD[left] | (left == ord("%")))
    bits[near[_after_escape(data, starts[near])]] = wanted.bits
    kept = bits != 0
    return starts[kept], bits[kept]


def _is_decimal(data: Bytes, starts: Places) -> Mask:
    """Tell which runs behind a point belong to a decimal: a digit before the point, and not one of an escape."""
    points = starts - 1
    before = _at(data, points - 1)
    passed: Mask = (before >= ord("0")) & (before <= ord("9")) & ~_after_escape(data, points)
    return passed


def _at(data: Bytes, places: Places) -> Bytes:
    """Return the bytes at some places; a line end stands before the first and behind the last one."""
    return np.where((places < 0) | (places >= data.size), np.uint8(10), data.take(places, mode="clip"))


def _runs(data: Bytes, wanted: DigitRuns) -> tuple[Places, Places]:
    """Return start and end of every maximal run of at least `shortest` digits."""
    size, shortest = data.size, wanted.shortest
    found = [
        _windows(data[start : min(size, start + _SLICE + shortest - 1)], wanted) + start
        for start in range(0, size, _SLICE)
    ]
    inside = np.concatenate(found)
    if not inside.size:
        return inside, inside
    breaks = np.flatnonzero(np.diff(inside) > 1)
    starts = inside[np.concatenate(([0], breaks + 1))]
    ends = inside[np.concatenate((breaks, [inside.size - 1]))] + shortest
    return starts.astype(np.int64), ends.astype(np.int64)


def _windows(data: Bytes, wanted: DigitRuns) -> Places:
    """Return every place from which `shortest` digits stand side by side.

    `window[i]` says that digits stand from i to i + width; doubling the width takes few passes over the data.
    """
    numbers, (here, other) = wanted.scratch
    np.subtract(data, 48, out=numbers[: data.size])
    window = np.less(numbers[: data.size], 10, out=here[: data.size])
    width = 1
    while width < wanted.shortest and window.size:
        step = min(width, wanted.shortest - width)
        length = max(window.size - step, 0)
        window = np.logical_and(window[:length], window[step : step + length], out=other[:length])
        here, other, width = other, here, width + step
    return np.flatnonzero(window)


def _after_escape(data: Bytes, starts: Places) -> Mask:
    r"""Tell which runs touch an escape (%3D, \u53f7, \n): part of the run may belong to it."""
    one, two, three = _at(data, starts - 1), _at(data, starts - 2), _at(data, starts - 3)
    percent = ord("%")
    touched: Mask = (one == percent) | ((two == percent) & _HEX[one]) | ((three == percent) & _HEX[one] & _HEX[two])
    touched |= _CONTROL_LETTER[one] & (two == ord("\\"))
    hexes = np.ones(starts.size, dtype=np.bool_)
    for back in range(1, 6):
        letter = _at(data, starts - back)
        touched |= hexes & (letter == ord("u")) & (_at(data, starts - back - 1) == ord("\\"))
        hexes &= _HEX[letter]
    return touched


def _bits_of(data: Bytes, starts: Places, length: int, wanted: DigitRuns, is_x: Mask) -> Places:
    """Return the bits of the classes that runs of one length may be."""
    bits = np.zeros(starts.size, dtype=np.int64)
    # One byte more than the run: the X of an ID. At the end of the buffer any byte will do.
    digits = data.take(starts[:, None] + np.arange(length + 1), mode="clip").astype(np.int64) - 48
    for bit, validator in wanted.by_length.get(length, ()):
        bits |= np.where(_TESTS.get(validator, _always)(digits, length), bit, 0)
    if length == _ID_CHARACTERS - 1 and is_x.any():
        for bit, validator in wanted.by_length.get(_ID_CHARACTERS, ()):
            if validator != "bank_card":
                bits |= np.where(is_x & _TESTS.get(validator, _always)(digits, _ID_CHARACTERS), bit, 0)
    if prefix := _COUNTRY.get(length):
        has_prefix = np.all(digits[:, : len(prefix)] == np.frombuffer(prefix, np.uint8) - 48, axis=1)
        for bit, validator in wanted.by_length.get(_MOBILE_LENGTH, ()):
            passed = _TESTS.get(validator, _always)(digits[:, len(prefix) :], _MOBILE_LENGTH)
            bits |= np.where(has_prefix & passed, bit, 0)
    return bits


def _always(digits: Places, length: int) -> Mask:
    del length
    return np.ones(len(digits), dtype=np.bool_)


def _resident_id(digits: Places, length: int) -> Mask:
    """Check character and a possible month; the area table is left to the validator."""
    del length
    check = _ID_CHECK[(digits[:, :17] @ _ID_WEIGHTS) % 11]
    month = digits[:, 10] * 10 + digits[:, 11]
    last = digits[:, 17] + 48
    last = np.where(last == ord("x"), ord("X"), last)
    passed: Mask = (check == last) & (month >= 1) & (month <= 12)  # noqa: PLR2004
    return passed


def _short_id(digits: Places, length: int) -> Mask:
    del length
    month = digits[:, 8] * 10 + digits[:, 9]
    passed: Mask = (month >= 1) & (month <= 12)  # noqa: PLR2004
    return passed


def _mobile(digits: Places, length: int) -> Mask:
    del length
    passed: Mask = (digits[:, 0] == 1) & (digits[:, 1] >= 3)  # noqa: PLR2004  segments begin at 13
    return passed


def _bank_card(digits: Places, length: int) -> Mask:
    numbers = digits[:, :length].copy()
    doubled = numbers[:, length - 2 :: -2] * 2
    doubled -= 9 * (doubled > 9)  # noqa: PLR2004  a digit
    total = numbers[:, length - 1 :: -2].sum(axis=1) + doubled.sum(axis=1)
    first = digits[:, 0]
    passed: Mask = (total % 10 == 0) & ((first >= 3) & (first <= 6) | (first == 9))  # noqa: PLR2004
    return passed


_TESTS: dict[str, Callable[[Places, int], Mask]] = {
    "cn_id18": _resident_id,
    "hkmotw_residence": _resident_id,
    "cn_id15": _short_id,
    "mobile": _mobile,
    "bank_card": _bank_card,
}
