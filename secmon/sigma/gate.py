"""A lane: the rules for events that agree in what rules ask of their log source, and the gate before them.

Most lines satisfy no rule, and can be told from those that may without looking at a single field: of every rule some
text must stand in the line (`literals.py`), and one scan of the line looks for all of them. Of each rule those texts
are chosen that stand in the fewest lines of a sample. A lane chooses when it is made, by what Windows commonly writes
(`typical.py`), and anew, a few times, by its own lines, where too many of them get through.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Protocol

import hyperscan
import orjson

from secmon.model.cache import ENTRY_BYTES, Budget, Cache
from secmon.model.patterns import Compiler, Patterns, Several, compiled
from secmon.sigma.direct import View, condition
from secmon.sigma.literals import NOT_ASCII, Covers, Lines
from secmon.sigma.rule import Rule
from secmon.sigma.sample import Sample
from secmon.sigma.tree import Node, atoms_of

# A gate is made again at these numbers of lines if more than a share of them got through: not before reading those
# has cost about what another choice costs, which grows with the number of texts.
_AGAIN_AT = (48, 400, 4_000, 40_000)
_LINES_FOR_A_TEXT = 1
# So many texts chosen later are looked for in a scan of their own, or a quarter of all: cheaper than a database of all.
_FEW_LATER = 64
_OPEN_SHARE = 0.15
# It must then let less than this share of what gets through now.
_BETTER = 0.8
_SAMPLE = 96
_SAMPLE_BYTES = 1_024
# A rule whose texts stand in more lines than this is tried on every line.
_USELESS = 0.7
# A gate of so many texts is worth keeping for the next run.
_WORTH_KEEPING = 8

_CASELESS = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_CASELESS

# Rules × bytes of the line beyond which trying each rule is too slow; of large lines comparisons × bytes.
MAX_WORK = 4 << 20

# A text of these may stand in a number, which Sigma may read in another form than it is written in: if it has a
# fraction or an exponent, or is an integer that a float cannot hold.
_NUMERIC = frozenset(b"0123456789.e+-")
# Between it and the quotation mark before it stands nothing but separators and other numbers.
_FRACTION = rb'"\s*[:,](?:[^"\n]*[\[,])?\s*-?(?:[0-9]{16}|[0-9]{1,15}[.eE])'
LANE_BYTES = 256 << 20
"""What all lanes of an engine may hold, their databases and the keys that lead to them included."""


class Notes(Protocol):
    """What a run may leave to the next of the same rules and the same program (`store.prepared.Prepared.notes`)."""

    def get(self, name: str) -> bytes | None:
        """Return what was kept under a name."""
        ...

    def put(self, name: str, content: bytes) -> None:
        """Keep something, if it can be kept."""
        ...


class NoNotes:
    """Nothing is kept."""

    def get(self, name: str) -> None:
        """Return nothing."""

    def put(self, name: str, content: bytes) -> None:
        """Keep nothing."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What all lanes of an engine share.

    Args:
        covers: finds the texts of conditions.
        compiler: makes databases.
        notes: gates of earlier runs.
        typical: yields lines of any lane: a sample until a lane has one of its own.
        scans: what scans for patterns that lanes use now, or did of late.
    """

    covers: Covers
    compiler: Compiler = compiled
    notes: Notes = field(default_factory=NoNotes)
    typical: Callable[[], Iterable[bytes]] = tuple
    scans: Cache[Patterns, Callable[..., Any]] = field(default_factory=lambda: Cache(Budget(LANE_BYTES)))
    _samples: list[Sample] = field(default_factory=list)

    @property
    def sample(self) -> Sample:
        """The typical lines."""
        if not self._samples:
            self._samples.append(Sample(self.typical()))
        return self._samples[0]

    def scan(self, patterns: Patterns) -> Callable[..., Any]:
        """Return what scans for some patterns; many lanes have the same few rules, and so the same."""
        if not patterns.ids:
            return _find_nothing
        found = self.scans.young.get(patterns)
        if found is None:
            found = self.scans.old(patterns) or self.compiler(patterns).scan
            self.keep(patterns, found)
        return found

    def keep(self, patterns: Patterns, scan: Callable[..., Any]) -> None:
        """Remember what scans for some patterns, while a lane uses it."""
        if patterns not in self.scans.young:
            self.scans.put(patterns, scan, ENTRY_BYTES + patterns.size + _size_of_database(scan))


@cache
def _fractions() -> Callable[..., Any]:
    """Return what scans for fractions: made here, for it is ours and needs no limits."""
    return compiled(Patterns((_FRACTION,), (1,), (hyperscan.HS_FLAG_SINGLEMATCH,))).scan  # type: ignore[no-any-return]  # hyperscan has no types


def _holds_fraction(line: bytes) -> bool:
    """Tell whether a line may hold a number that Sigma reads in another form than it is written in."""
    found: list[int] = []
    _fractions()(line, _collect, 0, found)
    return bool(found)


class Trial:
    """A rule that can be tried on an event.

    Args:
        rule: the rule.
        tree: makes what is left to decide of its condition.
    """

    __slots__ = ("_effort", "_tree", "holds", "rule")

    def __init__(self, rule: Rule, tree: Callable[[], Node]) -> None:
        self.rule, self._tree = rule, tree
        self._effort = 0
        self.holds: Callable[[View], bool] = self._first
        """Tells whether it holds."""

    @property
    def tree(self) -> Node:
        """What is left to decide of its condition."""
        return self._tree()

    @property
    def effort(self) -> int:
        """How often a value may have to be walked through: the number of comparisons."""
        if not self._effort:
            self._effort = max(1, sum(1 for _ in atoms_of(self.tree)))
        return self._effort

    def _first(self, view: View) -> bool:
        self.holds = condition(self.tree)
        return self.holds(view)


@dataclass(frozen=True, slots=True)
class Gate:
    """Texts to look for in a line, and the rules behind them.

    Args:
        always: places of rules that are tried on every line.
        behind: each text, and the places of the rules that are tried where it stands.
        share: share of the lines of the sample in which one of the texts stands.
        seen: after how many lines of its lane it was chosen, or nothing better was found.
    """

    always: tuple[int, ...]
    behind: Mapping[bytes, tuple[int, ...]]
    share: float
    seen: int = 0


def _patterns(numbers: Mapping[bytes, int]) -> Patterns:
    """Return numbered texts as patterns."""
    found = {text: number for text, number in numbers.items() if text != NOT_ASCII}
    return Patterns(tuple(found), tuple(found.values()), (_CASELESS,) * len(found), literal=True)


def dumped(trials: Sequence[Trial], gate: Gate) -> bytes:
    """Return a gate and the ids of its rules as bytes that `loaded` reads."""
    texts = [text.decode("latin-1") for text in gate.behind]
    rules = [trial.rule.id for trial in trials]
    return orjson.dumps([rules, gate.always, texts, list(gate.behind.values()), gate.share, gate.seen])


def loaded(data: bytes) -> tuple[tuple[str, ...], Gate]:
    """Return the ids of the rules of a gate, and the gate."""
    rules, always, texts, places, share, seen = orjson.loads(data)
    behind = {text.encode("latin-1"): tuple(each) for text, each in zip(texts, places, strict=True)}
    return tuple(rules), Gate(tuple(always), behind, share, seen)


def chosen(trials: Sequence[Trial], covers: Covers, lines: Lines, count: int, kept: Gate | None = None) -> Gate:
    """Return the gate for some rules that lets the fewest lines of a sample through.

    Args:
        trials: the rules.
        covers: finds the texts.
        lines: tells in which lines of the sample a text stands.
        count: number of its lines.
        kept: a gate for the same rules: right for those that it tries on no line of the sample.
    """
    behind: dict[bytes, list[int]] = {}
    always: list[int] = []
    open_lines = 0
    places = set(range(len(trials))) if kept is None else _tried(kept, lines)
    for place in places:
        found = covers.of(trials[place].tree, lines)
        if found is None or found.lines.bit_count() > _USELESS * count:
            always.append(place)
            continue
        open_lines |= found.lines
        for text in found.texts:
            behind.setdefault(text, []).append(place)
    for text, others in kept.behind.items() if kept else ():
        if rest := [place for place in others if place not in places]:
            behind.setdefault(text, []).extend(rest)
    ordered = {text: tuple(behind[text]) for text in sorted(behind)}
    return Gate(tuple(sorted(always)), ordered, open_lines.bit_count() / max(1, count))


def _tried(gate: Gate, lines: Lines) -> set[int]:
    """Return the places of rules that a gate tries on some line of a sample."""
    tried = set(gate.always)
    for text, places in gate.behind.items():
        if lines(text):
            tried.update(places)
    return tried


class Lane:
    """Some rules, and the gate before them.

    Args:
        trials: the rules, by rule id.
        tools: what lanes share.
        name: what the lane is called in the notes; may be empty.
        gate: the gate that the notes have for it.
    """

    __slots__ = (
        "_always",
        "_behind",
        "_beyond_ascii",
        "_first",
        "_gate",
        "_held",
        "_is_numeric",
        "_later",
        "_name",
        "_next",
        "_numbers",
        "_opened",
        "_sample",
        "_scan",
        "_seen",
        "_since",
        "_tools",
        "_wait",
        "trials",
    )

    def __init__(self, trials: Sequence[Trial], tools: Tools, name: str = "", gate: Gate | None = None) -> None:
        self.trials = tuple(trials)
        self._tools, self._name = tools, name
        self._gate: Gate | None = None
        self._scan: Callable[..., Any] = _find_nothing
        self._later: Callable[..., Any] | None = None
        self._held: dict[Patterns, Callable[..., Any]] = {}
        self._first: dict[bytes, int] = {}
        self._numbers: dict[bytes, int] = {}
        self._always: tuple[Trial, ...] = self.trials
        self._behind: list[tuple[int, ...]] = []
        self._beyond_ascii, self._is_numeric = 0, False
        self._seen = self._since = self._opened = self._wait = 0
        self._next: list[int] = []
        self._sample: list[bytes] = []
        if gate is not None:
            self._use(gate)
        elif self.trials:
            self._choose(0)
        self._plan()

    def candidates(self, line: bytes) -> Sequence[Trial]:
        """Return the rules that the event of a line may satisfy, by rule id; no other does.

        Args:
            line: a JSON text, as bytes in UTF-8, in which values stand in one form only (`literals.written`).
        """
        if self._wait:
            self._wait -= 1
        elif self._next:
            self._learn(line)
        found: list[int] = []
        self._scan(line, _collect, 0, found)  # by position: names cost more than the scan of a short line
        if self._later is not None:
            self._later(line, _collect, 0, found)
        if self._beyond_ascii and not line.isascii():
            found.append(self._beyond_ascii)
        if self._is_numeric and _holds_fraction(line):
            self._opened += bool(found)
            return self.trials
        if not found:
            return self._always
        behind = self._behind
        places = set(behind[0]).union(*[behind[number] for number in found])
        if len(places) == len(behind[0]):  # nothing but texts that other ones replace
            return self._always
        self._opened += 1
        trials = self.trials
        return [trials[place] for place in sorted(places)]

    def keep(self) -> int:
        """Keep the databases of a lane that is used again; return about how many bytes the lane takes besides."""
        for patterns, scan in self._held.items():
            self._tools.keep(patterns, scan)
        return _LANE_BYTES + 8 * len(self.trials) + sum(100 + 16 * len(text) for text in self._numbers)

    def _learn(self, line: bytes) -> None:
        """Take a line into the sample, and make the gate anew when it is time."""
        self._sample.append(line[:_SAMPLE_BYTES])
        seen = self._seen + len(self._sample)
        if seen >= self._next[0]:
            self._seen = seen
            del self._next[0]
            if self._opened > _OPEN_SHARE * (seen - self._since):
                self._choose(seen)
            self._sample = []
            self._plan()

    def _plan(self) -> None:
        """Wait until it is time to take the next sample."""
        self._wait = max(0, self._next[0] - self._seen - _SAMPLE) if self._next else 0
        self._seen += self._wait

    def _choose(self, seen: int) -> None:
        """Choose the gate by the sample, and use it if it is better than what there is."""
        sample = Sample(self._sample[:_SAMPLE]) if seen else self._tools.sample
        gate = replace(chosen(self.trials, self._tools.covers, sample.lines, sample.count, self._gate), seen=seen)
        if self._gate is None or gate.share <= _BETTER * self._opened / (seen - self._since):
            self._use(gate)
            self._since = seen
        else:
            gate = replace(self._gate, seen=seen)
        if self._name and len(gate.behind) >= _WORTH_KEEPING:
            self._tools.notes.put(self._name, dumped(self.trials, gate))

    def _use(self, gate: Gate) -> None:
        self._gate = gate
        self._always = tuple(self.trials[place] for place in gate.always)
        self._look_for(gate.behind)
        self._behind = [gate.always, *(gate.behind.get(text, ()) for text in self._numbers)]
        self._opened = 0
        self._beyond_ascii = self._numbers.get(NOT_ASCII, 0)
        self._is_numeric = any(map(_NUMERIC.issuperset, gate.behind))
        least = _LINES_FOR_A_TEXT * len(gate.behind)
        self._next = sorted({max(at, least) for at in _AGAIN_AT if at > gate.seen})

    def _look_for(self, texts: Collection[bytes]) -> None:
        """Scan for some texts: for few new ones beside the old, of which some may be of no use any more."""
        later = [text for text in texts if text not in self._first]
        if not self._first or len(later) > max(_FEW_LATER, len(texts) // 4):
            self._first = {text: number for number, text in enumerate(texts, start=1)}
            patterns = _patterns(self._first)
            self._scan = self._tools.scan(patterns)
            self._held = {patterns: self._scan}
            later = []
        numbers = {text: number for number, text in enumerate(later, start=len(self._first) + 1)}
        self._later = None
        if later:
            patterns = _patterns(numbers)
            self._later = self._held[patterns] = self._tools.scan(patterns)
        self._numbers = self._first | numbers


# An empty lane, its sample of lines included, which is forgotten in the end.
_LANE_BYTES = 8 << 10


def _size_of_database(scan: Callable[..., Any]) -> int:
    database = getattr(scan, "__self__", None)
    return int(database.size()) if isinstance(database, hyperscan.Database | Several) else 0


def _find_nothing(*_: object) -> None:
    """Scan a line for no texts at all."""


def _collect(number: int, start: int, end: int, flags: int, found: Any) -> None:  # hyperscan hands our list back
    del start, end, flags
    found.append(number)
