"""A lane: the rules for events that agree in what rules ask of their log source, and the gate before them.

Most lines satisfy no rule, and can be told from those that may without looking at a single field: of every rule some
text must stand in the line (`literals.py`), and one scan of the line looks for all of them. A lane tries all of its
rules on its first lines, keeps them as a sample, and then chooses of each rule those texts that stand in the fewest
of them. It chooses anew, a few times, where too many lines get through.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hyperscan

from secmon.model.patterns import Compiler, Patterns, compiled
from secmon.sigma.direct import View, condition
from secmon.sigma.literals import MAX_BYTES, NOT_ASCII, SUSPECTS, cover, is_verbatim
from secmon.sigma.rule import Rule
from secmon.sigma.tree import Node

# A gate is made after so many lines of a lane, or so many trials of its rules if they are fewer; and made again at
# these numbers of lines if more than a share of them got through: later where many rules make it dear.
_FIRST_LINES, _FIRST_TRIALS = 48, 300
_AGAIN_AT = (400, 4_000, 40_000)
_LINES_FOR_A_RULE = 8
_OPEN_SHARE = 0.15
_SAMPLE = 128
_SAMPLE_BYTES = 1_024
# A rule whose texts stand in more lines than this is tried on every line.
_USELESS = 0.7

_CASELESS = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_CASELESS
_SUSPECT = 0

# Rules × bytes of the line beyond which trying each rule is too slow.
MAX_WORK = 4 << 20
_GRAM = 4


class Trial:
    """A rule that can be tried on an event.

    Args:
        rule: the rule.
        tree: what is left to decide of its condition.
    """

    __slots__ = ("holds", "rule", "tree")

    def __init__(self, rule: Rule, tree: Node) -> None:
        self.rule, self.tree = rule, tree
        self.holds: Callable[[View], bool] = self._first
        """Tells whether it holds."""

    def _first(self, view: View) -> bool:
        self.holds = condition(self.tree)
        return self.holds(view)


class Lane:
    """Some rules, and the gate before them.

    Args:
        trials: the rules, by rule id.
        others: lines of any lane, latest last: a sample until the lane has one of its own.
        compiler: makes the gate's database.
    """

    __slots__ = (
        "_always",
        "_behind",
        "_beyond_ascii",
        "_compiler",
        "_next",
        "_opened",
        "_others",
        "_sample",
        "_scan",
        "_seen",
        "trials",
    )

    def __init__(self, trials: Sequence[Trial], others: deque[bytes], compiler: Compiler = compiled) -> None:
        self.trials = tuple(trials)
        self._compiler, self._others = compiler, others
        self._scan: Callable[..., Any] | None = None
        self._always: tuple[Trial, ...] = self.trials
        self._behind: list[tuple[int, ...]] = []
        self._beyond_ascii = 0
        self._seen = self._opened = 0
        first = min(_FIRST_LINES, 1 + _FIRST_TRIALS // max(1, len(self.trials)))
        again = sorted({max(at, _LINES_FOR_A_RULE * len(self.trials)) for at in _AGAIN_AT})
        self._next = [first, *again] if self.trials else []
        self._sample: list[bytes] = []

    def candidates(self, line: bytes) -> Sequence[Trial]:
        """Return the rules that the event of a line may satisfy, by rule id; no other does.

        Args:
            line: a JSON text, as bytes in UTF-8, in which the values of the event stand as they are, escapes aside.
        """
        if self._next:
            self._learn(line)
        if self._scan is None:
            return self._always
        found: list[int] = []
        self._scan(line, match_event_handler=_collect, context=found)
        if self._beyond_ascii and not line.isascii():
            found.append(self._beyond_ascii)
        if not found:
            return self._always
        self._opened += 1
        if _SUSPECT in found:
            if not is_verbatim(line):
                return self.trials
            found = [number for number in found if number != _SUSPECT]
        places: set[int] = set()
        for number in found:
            places.update(self._behind[number])
        if self._always:
            places.update(self._behind[_SUSPECT])
        return [self.trials[place] for place in sorted(places)]

    def _learn(self, line: bytes) -> None:
        """Take a line into the sample, and make the gate when it is time."""
        self._seen += 1
        due = self._next[0]
        if self._scan is None:
            self._others.append(line[:_SAMPLE_BYTES])
        if self._seen > due - _SAMPLE:
            self._sample.append(line[:_SAMPLE_BYTES])
        if self._seen >= due or (self._scan is None and len(line) * len(self.trials) > MAX_WORK):
            del self._next[0]
            if self._scan is None or self._opened > _OPEN_SHARE * self._seen:
                self._make()
            self._sample = []

    def _make(self) -> None:
        frequencies = _Frequencies([*self._sample, *self._others][:_SAMPLE])
        behind: dict[bytes, list[int]] = {}
        always: list[int] = []
        for place, trial in enumerate(self.trials):
            found = cover(trial.tree, frequencies.weigh)
            if found is None or found[0] >= _USELESS:
                always.append(place)
                continue
            for text in found[1]:
                behind.setdefault(text, []).append(place)
        self._always = tuple(self.trials[place] for place in always)
        self._behind = [tuple(always), *map(tuple, behind.values())]
        self._opened = 0
        self._beyond_ascii = [*behind].index(NOT_ASCII) + 1 if NOT_ASCII in behind else 0
        self._scan = self._compiler(_patterns(list(behind))).scan


def _patterns(texts: list[bytes]) -> Patterns:
    numbered = {number: text for number, text in enumerate(texts, start=1) if text != NOT_ASCII}
    return Patterns(
        expressions=(*SUSPECTS, *numbered.values()),
        ids=(*(_SUSPECT for _ in SUSPECTS), *numbered),
        flags=(*(hyperscan.HS_FLAG_SINGLEMATCH for _ in SUSPECTS), *(_CASELESS for _ in numbered)),
        literal=True,
    )


def _collect(number: int, start: int, end: int, flags: int, found: Any) -> None:  # hyperscan hands our list back
    del start, end, flags
    found.append(number)


class _Frequencies:
    """How often texts stand in the lines of a sample.

    Args:
        lines: the sample.
    """

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = [line.lower() for line in lines]
        # Most texts stand in none of the lines, and have a few bytes that stand in none either.
        self._grams = {line[at : at + _GRAM] for line in self._lines for at in range(len(line) - _GRAM + 1)}
        self._weights: dict[bytes, float] = {}

    def weigh(self, text: bytes) -> float:
        """Return the share of lines in which a text stands, and a little more for short texts than for long ones."""
        weight = self._weights.get(text)
        if weight is None:
            weight = self._weights[text] = self._count(text) / max(1, len(self._lines)) + 0.02 / min(
                len(text), MAX_BYTES
            )
        return weight

    def _count(self, text: bytes) -> int:
        if text == NOT_ASCII:
            return sum(not line.isascii() for line in self._lines)
        grams = self._grams
        for at in range(len(text) - _GRAM + 1):
            if text[at : at + _GRAM] not in grams:
                return 0
        return sum(text in line for line in self._lines)
