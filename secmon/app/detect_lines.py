"""Detection over lines whose fields are called as rules call them (`--source native`), without a store.

`LineStation` reads every line. `SkimStation` reads of most lines only what decides their lane: where the lane's gate
finds nothing, nothing else of the line matters. Both find the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from secmon.app.detect import Found, Place, Worked, hits_of
from secmon.errors import ParseError
from secmon.model.cache import ENTRY_BYTES, Cache
from secmon.model.event import Dropped, Event, Frame
from secmon.model.hit import Hit
from secmon.model.ids import event_id
from secmon.parse.frame import Lines
from secmon.parse.native import TIMES, event_of, native_time, read_members, read_native
from secmon.parse.skim import Skimmed, Skimmer, size_of
from secmon.pipeline import Classifying, Lane, Matcher
from secmon.sigma import gate
from secmon.sigma.lines import LineEngine
from secmon.sigma.rule import Rule, RuleSet
from secmon.sigma.suppressor import Suppressor
from secmon.sigma.tree import Keyword, KeywordRegex, atoms_of

Block = Lines | tuple[Frame, ...]

# A nested line is laid flat no further than its rules look, if they are few and it is not huge.
_MAX_TRIALS_PARTLY, _MAX_PARTLY = 16, 1 << 16
_MAX_KEY_BYTES, _STRUCT_BYTES = 512, 1_024


@dataclass(slots=True)
class _Finds:
    """What is found in a block, while it is worked."""

    ruleset: RuleSet
    suppressor: Suppressor | None
    lane: Lane
    prefix: bytes
    found: list[Found] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    events: int = 0

    def worked(self) -> Worked:
        """Return all of it."""
        return Worked(self.events, tuple(self.found), tuple(self.malformed))

    def where(self, number: int) -> str:
        """Return the place of a record, as messages name it."""
        return f"{self.lane.place or self.lane.source}:record {number}"

    def refuse(self, error: ParseError, number: int) -> None:
        """Take note of a malformed record."""
        error.where = self.where(number)
        self.malformed.append(str(error))

    def add(self, event: Event, rules: Sequence[Rule], frame: Frame) -> None:
        """Take the rules of the next event."""
        named = event_id(self.prefix, frame.offset, 0).hex()
        stamp = native_time(event, self.lane.zone)
        place = Place(self.events, named, stamp or "", self.lane.place, frame.number)
        counted = any(rule.keys for rule in rules)
        hits: list[Hit] = []
        suppressed: dict[str, str] = {}
        if stamp and (counted or self.suppressor is not None):
            with_time = event | {"@timestamp": stamp, "event.id": named}
            hits, suppressed = hits_of(self.ruleset, self.suppressor, with_time, rules)
        elif counted:
            hint = "correlations leave it out"
            error = ParseError("no time of the event that can be read", where=self.where(frame.number), hint=hint)
            self.malformed.append(str(error))
        self.found.append(Found(place, tuple(rule.id for rule in rules if rule.generates), tuple(hits), suppressed))


@dataclass(frozen=True, slots=True)
class LineStation:
    """Works blocks of lines, each of which is read in full.

    Args:
        matcher: the engine.
        ruleset: its rules.
        classifier: classifies and masks first, as ingest does; None leaves events as they are.
        suppressor: as in `Station`; an event without a time is suppressed by nothing.
    """

    matcher: Matcher
    ruleset: RuleSet
    classifier: Classifying | None = None
    suppressor: Suppressor | None = None

    def work(self, block: Block, lane: Lane, prefix: bytes) -> Worked:
        """Read lines, and match their events."""
        finds = _Finds(self.ruleset, self.suppressor, lane, prefix)
        for frame in block.frames() if isinstance(block, Lines) else block:
            self.take(frame, finds)
        return finds.worked()

    def take(self, frame: Frame, finds: _Finds) -> Event | None:
        """Read one line and match its event; return the event if there is one."""
        try:
            event = read_native(frame.raw)
            if isinstance(event, Dropped):
                return None
            if self.classifier is not None:
                ((event, _),) = self.classifier.classify_events([event])
            rules = self.matcher.match(event)
        except ParseError as error:
            finds.refuse(error, frame.number)
            return None
        if rules:
            finds.add(event, rules, frame)
        finds.events += 1
        return event


class SkimStation:
    """Works blocks of lines, of which it reads only what it must.

    Args:
        engine: the engine.
        ruleset: its rules.
        suppressor: as in `LineStation`.
    """

    def __init__(self, engine: LineEngine, ruleset: RuleSet, suppressor: Suppressor | None = None) -> None:
        self._engine = engine
        self._slow = LineStation(engine, ruleset, suppressor=suppressor)
        self._skimmer = Skimmer(engine.asked)
        self._lanes: Cache[Skimmed, gate.Lane] = Cache(engine.budget)
        self._heads: dict[str, frozenset[str] | None] = {}

    def work(self, block: Block, lane: Lane, prefix: bytes) -> Worked:
        """Read lines, and match their events."""
        if not isinstance(block, Lines):
            return self._slow.work(block, lane, prefix)
        finds = _Finds(self._slow.ruleset, self._slow.suppressor, lane, prefix)
        lines = block.cut()
        lane_of, is_nested = self._lanes.young.get, self._skimmer.is_nested
        skimmed = self._skimmer.skim(block.data, lines)
        frames = _Frames(block, lines)
        for number, key in enumerate(skimmed):
            found = lane_of(key)
            if found is None:
                self._take(frames.at(number), key, finds)
                continue
            trials = found.candidates(lines[number])
            if trials:
                self._try(frames, number, trials, finds, is_nested=is_nested(key))
            finds.events += 1
        return finds.worked()

    def _try(
        self, frames: "_Frames", number: int, trials: Sequence[gate.Trial], finds: _Finds, *, is_nested: bool
    ) -> None:
        """Read a line that may satisfy some rules, and try them; whoever could skim it can read it."""
        line = frames.lines[number]
        members = read_members(line)
        heads = self._heads_of(trials) if is_nested and len(line) <= _MAX_PARTLY else None
        event = event_of(members if heads is None else {name: members[name] for name in members if name in heads})
        if rules := self._engine.decide(event, trials, len(line)):
            is_enough = heads is None or (finds.suppressor is None and not any(rule.keys for rule in rules))
            finds.add(event if is_enough else event_of(members), rules, frames.at(number))

    def _heads_of(self, trials: Sequence[gate.Trial]) -> frozenset[str] | None:
        """Return the names by which all that some rules look at may begin, and the time; None for all there are."""
        if len(trials) > _MAX_TRIALS_PARTLY:
            return None
        found = TIMES
        for trial in trials:
            rule = trial.rule
            if rule.id not in self._heads:
                self._heads[rule.id] = _heads(rule)
            heads = self._heads[rule.id]
            if heads is None:
                return None
            found |= heads
        return found

    def _take(self, frame: Frame, key: Skimmed | None, finds: _Finds) -> None:
        """Read a line in full; keep its lane if there will be more of its kind."""
        event = self._slow.take(frame, finds)
        if event is None or key is None or (size := size_of(key)) > _MAX_KEY_BYTES:
            return
        found = self._engine.lane(event)
        if found is not None:
            self._lanes.put(key, found, ENTRY_BYTES + _STRUCT_BYTES + 2 * size)


def _heads(rule: Rule) -> frozenset[str] | None:
    if any(isinstance(atom, Keyword | KeywordRegex) for atom in atoms_of(rule.tree)):
        return None
    parts = [name.split(".") for name in rule.fields]
    return frozenset(".".join(names[:count]) for names in parts for count in range(1, len(names) + 1))


class _Frames:
    """Frames of the lines of a block, for the few that need one.

    Args:
        block: the block.
        lines: its lines.
    """

    __slots__ = ("_offset", "_position", "_upto", "lines")

    def __init__(self, block: Lines, lines: Sequence[bytes]) -> None:
        self.lines, self._position = lines, block.position
        self._offset, self._upto = block.position.offset, 0

    def at(self, number: int) -> Frame:
        """Return the frame of a line, counted from 0; numbers only grow."""
        lines = self.lines
        self._offset += sum(map(len, lines[self._upto : number])) + number - self._upto
        self._upto = number
        at = number + 1
        return Frame(
            lines[number].removesuffix(b"\r"), self._offset, self._position.number + at, self._position.line + at
        )
