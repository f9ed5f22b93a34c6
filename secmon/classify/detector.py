"""What is in one text: the plain, complete definition of truth of the classifier.

`prefilter` only decides which texts are worth looking at; it may never pass over one in which this module would
find something (tests/classify compare the two on arbitrary input).
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, NamedTuple

import re2

from secmon.classify.definition import Definition
from secmon.classify.keys import BEFORE, BEFORE_CHARACTERS, PAIR, KeyTable, Names, names, paired_name
from secmon.classify.validators import VALIDATORS, Verdict
from secmon.classify.views import View, views

ALL_CLASSES = -1
MIN_CONFIDENCE = 0.5
# A value behind a key is looked for in so many characters.
_VALUE_CHARACTERS = 300
# A JSON number or a numeric field without a fitting key is rather a counter than a person's number.
_NUMBER_PENALTY = 0.3
_ID_LENGTH = 18

# A run of digits between ASCII boundaries (\b would take Han characters for parts of the word), no part of a
# decimal; "….0" is what a spreadsheet makes of a number.
_RUN = re.compile(r"(?<![0-9A-Za-z])(?<![0-9]\.)[0-9]{10,19}[Xx]?(?![0-9A-Za-z])(?!\.[0-9]{0,20}[1-9])")
# The ways in which people part such numbers: 3-4-4 (mobile), fours (card), 6-8-4 (resident ID).
_GROUPED = re.compile(
    r"(?<![0-9A-Za-z])(?:1[3-9][0-9]([- ])[0-9]{4}\1[0-9]{4}"
    r"|[0-9]{4}([- ])[0-9]{4}\2[0-9]{4}\2[0-9]{1,4}(?:\2[0-9]{1,3})?"
    r"|[1-9][0-9]{5}([- ])[0-9]{8}\3[0-9]{3}[0-9Xx])(?![0-9A-Za-z])"
)
_PARTED = re.compile(r"[0-9]{3}[- ][0-9]{4}")
_COUNTRY_PREFIX = re.compile(r"(?:00)?86(?=1[0-9]{10}\Z)")
_JOINED_BEFORE = re.compile(r"[0-9A-Za-z]-\Z")
_JOINED_AFTER = re.compile(r"-[0-9A-Za-z]")
_ASCII_WORD = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A value found in a text. It holds the raw value, so it never leaves this package.

    Args:
        definition: its class.
        start: first character in the source text.
        end: behind its last character.
        value: its normal form (not shown by repr).
        surface: as it stands in the view that showed it (not shown by repr).
        key: name beside it, or empty.
        born: birth date it carries.
        trace: why.
    """

    definition: Definition
    start: int
    end: int
    value: str = field(repr=False)
    surface: str = field(repr=False)
    confidence: float
    key: str
    born: date | None
    trace: tuple[str, ...]

    def moved(self, by: int) -> "Match":
        """Return the match with its span moved, for a text that is a part of another."""
        return replace(self, start=self.start + by, end=self.end + by)


class _Place(NamedTuple):
    """A possible value in a view: its span there, what it is normalised, and the key it is known to stand behind."""

    start: int
    end: int
    value: str
    key: str = ""


class _Compiled(NamedTuple):
    bit: int
    definition: Definition
    pattern: Any  # re2 publishes no types
    names: Names
    negative: Names


class Detector:
    """Finds the values of all classes in a text.

    Args:
        definitions: the classes; the n-th one has bit n in `classes` arguments.
        today: for birth dates.
    """

    def __init__(self, definitions: Sequence[Definition], *, today: date) -> None:
        self.definitions = tuple(definitions)
        self._today = today
        self._compiled = [
            _Compiled(
                1 << number,
                definition,
                re2.compile(definition.pattern) if definition.pattern else None,
                names(definition.keys),
                names(definition.negative_keys, negative=True),
            )
            for number, definition in enumerate(definitions)
        ]
        self._by_id = {one.definition.id: one for one in self._compiled}
        self._keys = KeyTable({one.definition.id: one.names for one in self._compiled})
        self._digit_bits = _bits(one for one in self._compiled if one.definition.digits)
        self._key_bits = _bits(one for one in self._compiled if one.definition.after_key)
        self._key_only = {one.definition.id for one in self._compiled if one.definition.after_key}
        self._windows = {one.definition.id: _window_pattern(one.definition) for one in self._compiled}

    def find(
        self,
        text: str | Sequence[View],
        *,
        key: str = "",
        classes: int = ALL_CLASSES,
        is_number: bool = False,
        threshold: float = MIN_CONFIDENCE,
    ) -> list[Match]:
        """Return the values in a text, in order, none overlapping another.

        Args:
            text: the source text, or its views if the caller has them; spans count the source's characters.
            key: name of the field, column or JSON key whose value the text is.
            classes: bits of the classes to look for.
            is_number: the text stands for a number (JSON number, numeric field).
            threshold: lowest confidence.
        """
        found: list[Match] = []
        seen: set[tuple[int, int, int]] = set()
        # The plainest view first: it shows the key, so what it shows need not be judged again.
        for view in reversed(views(text) if isinstance(text, str) else text):
            for one, place in self._places(view, key, classes):
                span = (one.bit, *view.source_span(place.start, place.end))
                if span in seen:
                    continue
                match = self._judge(one, view, place, key=key, is_number=is_number)
                if match is not None and match.confidence >= threshold:
                    found.append(match)
                    seen.add(span)
        return _without_overlaps(found)

    def classes_by_key(self, name: str) -> int:
        """Return the bits of the classes of which only such a name shows that a value is one."""
        bits = 0
        for id_, _ in self._keys.classes_of(name):
            one = self._by_id[id_]
            if one.definition.after_key or one.definition.required:
                bits |= one.bit
        return bits

    def is_key(self, name: str) -> bool:
        """Tell whether this is a name of any class."""
        return bool(self._keys.classes_of(name))

    def _places(self, view: View, key: str, classes: int) -> Iterator[tuple[_Compiled, _Place]]:
        if classes & self._digit_bits:
            yield from self._digit_places(view.text, classes)
        for one in self._compiled:
            if one.pattern is not None and not one.definition.after_key and classes & one.bit:
                for found in one.pattern.finditer(view.text):
                    if is_bounded(view.text, found.start(), found.end()):
                        yield one, _Place(found.start(), found.end(), _normal(one.definition, found.group()))
        if classes & self._key_bits:
            yield from self._keyed_places(view.text, key, classes)

    def _digit_places(self, text: str, classes: int) -> Iterator[tuple[_Compiled, _Place]]:
        runs = [*_RUN.finditer(text), *(_GROUPED.finditer(text) if _PARTED.search(text) else ())]
        for found in runs:
            value = found[0].replace("-", "").replace(" ", "").upper()
            start = found.start()
            if prefix := _COUNTRY_PREFIX.match(value):
                value, start = value[prefix.end() :], start + prefix.end()
                if found.end() - start != len(value):
                    continue
            if value[-1] == "X" and len(value) != _ID_LENGTH:
                continue
            for one in self._compiled:
                if len(value) in one.definition.digits and classes & one.bit:
                    yield one, _Place(start, found.end(), value)

    def _keyed_places(self, text: str, key: str, classes: int) -> Iterator[tuple[_Compiled, _Place]]:
        spots = [(paired_name(found), found.end()) for found in PAIR.finditer(text)]
        if key:
            spots.append((key, len(text) - len(text.lstrip(" \t\"'"))))
        for name, start in spots:
            for id_, _ in self._keys.classes_of(name):
                one = self._by_id[id_]
                if id_ not in self._key_only or not classes & one.bit:
                    continue
                found = one.pattern.match(text[start : start + _VALUE_CHARACTERS])
                if found is not None and found.end() and not _runs_on(text, start + found.end()):
                    yield one, _Place(start, start + found.end(), _normal(one.definition, found.group()), name)

    def _judge(self, one: _Compiled, view: View, place: _Place, *, key: str, is_number: bool) -> Match | None:
        """Weigh one possible value: validator, key, negative key."""
        definition, weights = one.definition, one.definition.weights
        confidence, trace = weights.prior, list[str]()
        verdict = Verdict(0.0)
        if definition.validator:
            checked = VALIDATORS[definition.validator](place.value, self._today)
            if checked is None:
                return None
            verdict = checked
            confidence += weights.validator * verdict.strength
            trace.append(f"validator:{definition.validator}" if verdict.strength else f"form:{definition.validator}")
        beside, is_adjacent = _key_beside(view.text, place, key)
        listed = one.names.match(beside) if beside else ""
        refused = one.negative.match(beside) if beside else ""
        if len(refused) > len(listed):
            listed = ""  # publicKeyToken is a token, but a public one: the longer name knows more
        if not listed and not refused:
            listed = self._key_in_window(definition, view.text, place.start)
        if listed:
            confidence += weights.key
            trace.append(f"key:{listed}")
        elif definition.required or definition.after_key:
            return None
        elif refused or _is_joined(view.text, place):
            confidence += weights.negative
            trace.append(f"negative:{refused}" if refused else "negative:part of an id")
        if is_number and not listed:
            confidence -= _NUMBER_PENALTY
        start, end = view.source_span(place.start, place.end)
        return Match(
            definition=definition,
            start=start,
            end=end,
            value=place.value,
            surface=view.text[place.start : place.end],
            confidence=round(min(1.0, max(0.0, confidence)), 3),
            key=beside if is_adjacent else "",
            born=verdict.born if definition.has_birth_date else None,
            trace=tuple(trace),
        )

    def _key_in_window(self, definition: Definition, text: str, start: int) -> str:
        if not definition.window:
            return ""
        found = self._windows[definition.id].search(text[max(0, start - definition.window) : start])
        return found[0].lower() if found else ""


def _bits(compiled: Iterator[_Compiled]) -> int:
    bits = 0
    for one in compiled:
        bits |= one.bit
    return bits


def _window_pattern(definition: Definition) -> re.Pattern[str]:
    """Match any key as a word of a text; keys are literals, so this is linear."""
    parts = [
        f"(?<![0-9A-Za-z]){re.escape(key)}(?![0-9A-Za-z])" if key.isascii() else re.escape(key)
        for key in sorted(definition.keys, key=len, reverse=True)
    ]
    return re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)


def is_bounded(text: str, start: int, end: int) -> bool:
    """Tell whether neither neighbour is an ASCII letter or digit."""
    return (start == 0 or text[start - 1] not in _ASCII_WORD) and (end == len(text) or text[end] not in _ASCII_WORD)


def _runs_on(text: str, end: int) -> bool:
    """Tell whether a value behind a key does not end where its pattern does: more letters, or a mask."""
    if end >= len(text):
        return False
    return text[end] == "*" or text[end].isalnum()


def _normal(definition: Definition, value: str) -> str:
    match definition.case:
        case "upper":
            return value.upper()
        case "lower":
            return value.lower()
        case _:
            return value


def _key_beside(text: str, place: _Place, key: str) -> tuple[str, bool]:
    """Return the name right before a value, else the field's name; and whether it was the former."""
    if place.key:
        return place.key, place.key != key
    found = BEFORE.search(text[max(0, place.start - BEFORE_CHARACTERS) : place.start])
    return (paired_name(found), True) if found else (key, False)


def _is_joined(text: str, place: _Place) -> bool:
    """Tell whether a hyphen ties the value to more letters or digits, as in a UUID; +86- is none."""
    before = text[max(0, place.start - 4) : place.start]
    if before.endswith("86-"):
        return False
    return _JOINED_BEFORE.search(before) is not None or _JOINED_AFTER.match(text, place.end) is not None


def _without_overlaps(found: list[Match]) -> list[Match]:
    """Keep the surest, then the longest, of matches that overlap."""
    if len(found) < 2:  # noqa: PLR2004  nothing can overlap
        return found
    kept: list[Match] = []
    starts: list[int] = []
    ends: list[int] = []
    for match in sorted(found, key=lambda one: (-one.confidence, one.start - one.end, one.start, one.definition.id)):
        place = bisect_left(ends, match.start + 1)
        if place == len(starts) or starts[place] >= match.end:
            kept.append(match)
            starts.insert(place, match.start)
            ends.insert(place, match.end)
    return sorted(kept, key=lambda one: one.start)
