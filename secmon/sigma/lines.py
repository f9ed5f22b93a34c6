"""The engine for events whose fields are called as the rules call them, and the lines of JSON they come from.

The fields that log sources ask for (Channel, EventID, …) decide an event's lane, where all that rules ask of them is
decided beforehand; the lane's gate tells from the line itself which rules are worth trying, and those are tried one
by one. Where they are many, the engine of `index.py` takes the event, whose time does not grow with their number.
`match.py` is the definition that all of this must agree with.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from secmon.model.cache import ENTRY_BYTES, Budget, Cache, size_of
from secmon.model.event import Event, Value
from secmon.model.patterns import Compiler, compiled
from secmon.sigma.decide import reduced
from secmon.sigma.direct import View
from secmon.sigma.gate import LANE_BYTES, MAX_WORK, Lane, NoNotes, Notes, Tools, Trial, loaded
from secmon.sigma.index import Engine
from secmon.sigma.literals import Covers, written
from secmon.sigma.native import native_route
from secmon.sigma.patterns import literal_of
from secmon.sigma.routing import Route, Router
from secmon.sigma.rule import LogSource, Rule, RuleSet
from secmon.sigma.tree import And, Atom, Exists, Node, Null, Or, Text, atoms_of
from secmon.sigma.typical import typical_events
from secmon.sigma.values import fold, texts_of, utf8

# A larger key is of an event of its own; it hardly ever comes back.
_MAX_KEY_BYTES = 4_096
# Making a lane takes as long as matching hundreds of events: those that name ever other log sources must not have one
# made for each. Real logs have some dozens (62 in 97,000 events of a domain). What has none is decided by `index.py`.
FREE_LANES, EVENTS_FOR_A_LANE = 256, 256
# A group, and a rule that is left to try in a lane of its own.
_GROUP_BYTES, _OWN_TRIAL_BYTES = 2_048, 1_024

# What a field of the key is to a lane: a text that rules mention, or one of these.
_ABSENT, _OTHER, _SEVERAL = 0, 1, 2
# Of each field that log sources ask for: the texts they know among its values, "" for all others.
_Asked = tuple[frozenset[str], ...]
_Known = tuple[str | int, ...]
# Where a lane belongs.
_Place = tuple[_Asked, _Known]
_ALWAYS, _NEVER = And(()), Or(())
# Of a smaller event the rules that are left are tried: to leave them to the full engine took twice as long in all.
_LARGE = 1 << 16
_REHEARSED = "rehearsed"


class LineEngine:
    """Matches events against a rule set.

    Args:
        ruleset: the rules.
        compiler: makes the databases that depend on the rules alone.
        router: where log sources are found.
        notes: what earlier runs learnt about lines.
        lane_bytes: what lanes may hold, all together.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        *,
        compiler: Compiler = compiled,
        router: Router = native_route,
        notes: Notes | None = None,
        lane_bytes: int = LANE_BYTES,
    ) -> None:
        self._ruleset, self._compiler, self._router = ruleset, compiler, router
        self._by_source: dict[LogSource, list[Rule]] = {}
        for rule in ruleset.rules:
            self._by_source.setdefault(rule.logsource, []).append(rule)
        routes = {source: router(source) for source in self._by_source}
        self._routes: dict[LogSource, Route] = {source: found for source, found in routes.items() if found}
        self.asked = tuple(sorted({name for found in self._routes.values() for name in found.fields}))
        """The fields that decide an event's lane."""
        self._texts = {name: _asked(name, self._routes) for name in self.asked}
        self._trials = {rule.id: Trial(rule, partial(_tree, rule)) for rule in ruleset.rules}
        covers = Covers(rule.tree for rule in ruleset.rules)
        self.budget = Budget(lane_bytes)
        """Of what is remembered about lanes."""
        self._tools = Tools(covers, compiler, NoNotes() if notes is None else notes, _typical_lines, Cache(self.budget))
        self._groups: Cache[_Asked, _Group] = Cache(self.budget)
        self._made: Cache[_Place, tuple[_Place, Lane]] = Cache(self.budget)
        self._keys: Cache[tuple[object, ...], tuple[_Place, Lane]] = Cache(self.budget)
        self._lanes = self._keys.young
        self._looked_for = self._count = 0
        self._engine: Engine | None = None

    def rehearse(self) -> None:
        """Make the gates of the lanes of typical events, and keep them: once for a rule set, if they can be kept.

        They are part of what is prepared of rules, like their pattern databases: whoever has them learns little from
        the first lines.
        """
        notes = self._tools.notes
        if notes.get(_REHEARSED) is not None:
            return
        notes.put(_REHEARSED, b"1")
        if notes.get(_REHEARSED) is None:
            return
        for event in typical_events():
            self.lane(event)

    def match(self, event: Event) -> list[Rule]:
        """Return the rules that an event satisfies, by rule id.

        Args:
            event: none of its values is a boolean, or a float that equals an integer but has another text.
        """
        lane = self.lane(event)
        line = None if lane is None else written(event)
        if lane is None or line is None:
            return self._full_engine().match(event)
        return self.decide(event, lane.candidates(line), len(line))

    def decide(self, event: Event, trials: Sequence[Trial], size: int) -> list[Rule]:
        """Return those of some rules that an event satisfies, by rule id.

        Args:
            event: as for `match`.
            trials: the candidates of its lane.
            size: about how many bytes its values are.
        """
        if not trials:
            return []
        if len(trials) * size > MAX_WORK or (size > _LARGE and sum(trial.effort for trial in trials) * size > MAX_WORK):
            return self._full_engine().match(event)
        view = View(event)
        return [trial.rule for trial in trials if trial.holds(view)]

    def lane(self, event: Event) -> Lane | None:
        """Return the lane of an event: the same for all events that agree in the fields `asked`.

        None if there is none yet, and too many were made of late: `match` decides such an event.
        """
        try:
            return self._lanes[tuple([event.get(name) for name in self.asked])][1]
        except (KeyError, TypeError):  # never seen, or a list
            return self._find_lane(event)

    def _make_lane(self, group: "_Group", known: _Known, name: str) -> Lane:
        kept = self._tools.notes.get(name)
        if kept is None:
            return Lane(group.trials(known), self._tools, name)
        rules, gate = loaded(kept)
        return Lane(group.chosen(known, frozenset(rules)), self._tools, name, gate)

    def _full_engine(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(self._ruleset, compiler=self._compiler, router=self._router)
        return self._engine

    def _find_lane(self, event: Event) -> Lane | None:
        """Return the lane of an event, and remember it for events with the very same key."""
        self._looked_for += 1
        values = [event.get(name) for name in self.asked]
        key = None if any(isinstance(value, list) for value in values) else tuple(values)
        found = None if key is None else self._keys.old(key)
        if found is None:
            asked = tuple(_routed(value, self._texts[name]) for name, value in zip(self.asked, values, strict=True))
            group = self._group(asked, event)
            if group is None:
                return None
            place = asked, group.known(event)
            found = self._made.young.get(place) or self._lane_at(place, group)
        else:
            self._remember(found)
        if found is None:
            return None
        cost = ENTRY_BYTES + size_of(values)
        if key is not None and cost <= _MAX_KEY_BYTES:
            self._keys.put(key, found, cost)  # the very pair: a place of its own would cost more than the key
        return found[1]

    def _may_make(self) -> bool:
        """Tell whether it is time for a new group or lane, and count it."""
        is_time = self._count < FREE_LANES + self._looked_for // EVENTS_FOR_A_LANE
        self._count += is_time
        return is_time

    def _group(self, asked: _Asked, event: Event) -> "_Group | None":
        group = self._groups.young.get(asked)
        if group is None:
            group = self._groups.old(asked)
            if group is None:
                if not self._may_make():
                    return None
                sources = [source for source, found in self._routes.items() if found.accepts(event)]
                rules = [rule for source in sources for rule in self._by_source[source]]
                group = _Group([self._trials[rule.id] for rule in rules], self.asked)
            self._groups.put(asked, group, _GROUP_BYTES + size_of(asked) + group.size)
        return group

    def _lane_at(self, place: _Place, group: "_Group") -> tuple[_Place, Lane] | None:
        """Return a lane that was used before, or a new one if it is time for one; and its place."""
        found = self._made.old(place)
        if found is None:
            if not self._may_make():
                return None
            found = place, self._make_lane(group, place[1], _name_of(*place))
        self._remember(found)
        return found

    def _remember(self, found: tuple[_Place, Lane]) -> None:
        place, lane = found
        if place not in self._made.young:
            own = sum(trial is not self._trials[trial.rule.id] for trial in lane.trials)
            self._made.put(place, found, ENTRY_BYTES + size_of(place) + lane.keep() + _OWN_TRIAL_BYTES * own)


def _typical_lines() -> Iterator[bytes]:
    return filter(None, map(written, typical_events()))


def _name_of(asked: _Asked, known: _Known) -> str:
    """Return what the notes call a lane."""
    key = repr(([sorted(texts) for texts in asked], known))
    return f"gate-{hashlib.sha256(utf8(key)).hexdigest()[:32]}"


def _asked(name: str, routes: Mapping[LogSource, Route]) -> frozenset[str]:
    """Return the texts that routes ask of a field, in lower case."""
    return frozenset().union(
        *(
            option.get(name, frozenset())
            for found in routes.values()
            for options in found.requirements
            for option in options
        )
    )


def _routed(value: Value | None, asked: frozenset[str]) -> frozenset[str]:
    """Return all that routes can tell of a value."""
    return frozenset(text if (text := each.lower()) in asked else "" for each in texts_of(value))


class _Group:
    """The rules of all log sources that some events are of.

    Args:
        trials: the rules.
        fields: fields of which a lane knows the value.
    """

    __slots__ = ("_decided", "_fields", "_mentioned", "_trials", "size")

    def __init__(self, trials: list[Trial], fields: tuple[str, ...]) -> None:
        self._trials = sorted(trials, key=lambda trial: trial.rule.id)
        mentioned: dict[str, set[str]] = {}
        known = frozenset(fields)
        for trial in trials:
            if known.isdisjoint(trial.rule.fields):
                continue
            for atom in atoms_of(trial.tree):
                if isinstance(atom, Text | Null | Exists) and atom.field in known:
                    literal = literal_of(atom.pattern) if isinstance(atom, Text) and not atom.cased else None
                    mentioned.setdefault(atom.field, set()).update([fold(literal)] if literal else [])
        self.size = 8 * len(trials) + size_of({name: list(texts) for name, texts in mentioned.items()})
        """About how many bytes it takes."""
        self._fields = tuple(sorted(mentioned))
        self._mentioned = mentioned
        self._decided = frozenset(self._fields)

    def known(self, event: Event) -> _Known:
        """Return what a lane knows of an event."""
        return tuple(self._of(name, event.get(name)) for name in self._fields)

    def _of(self, name: str, value: Value | None) -> str | int:
        texts = list(texts_of(value))
        if len(texts) > 1:
            return _SEVERAL
        if not texts:
            return _ABSENT
        text = fold(texts[0])
        return text if text in self._mentioned[name] else _OTHER

    def _answers(self, values: _Known) -> Callable[[Atom], bool | None]:
        """Return what is known of atoms where this is known."""
        key = dict(zip(self._fields, values, strict=True))

        def known(atom: Atom) -> bool | None:
            kind = type(atom)
            if kind is Text:
                value = key.get(atom.field, _SEVERAL)  # type: ignore[union-attr]  # by its type
                if value == _SEVERAL:
                    return None
                literal = None if atom.cased else literal_of(atom.pattern)  # type: ignore[union-attr]  # by its type
                return False if value == _ABSENT else None if not literal else fold(literal) == value
            if kind is not Null and kind is not Exists:
                return None
            value = key.get(atom.field, _SEVERAL)  # type: ignore[union-attr]  # by its type
            return None if value == _SEVERAL else (value == _ABSENT) is (kind is Null)

        return known

    def trials(self, values: _Known) -> list[Trial]:
        """Return what is left to try of the rules where this is known."""
        known = self._answers(values)
        trials = []
        for trial in self._trials:
            left = trial.tree if self._decided.isdisjoint(trial.rule.fields) else reduced(trial.tree, known)
            if left is True:
                trials.append(Trial(trial.rule, _always))
            elif left is not False:
                trials.append(trial if left is trial.tree else Trial(trial.rule, partial(_same, left)))
        return trials

    def chosen(self, values: _Known, rules: frozenset[str]) -> list[Trial]:
        """Return the same, where it is known which rules are left; what of each is found out when it is tried."""
        known = self._answers(values)
        return [
            trial
            if self._decided.isdisjoint(trial.rule.fields)
            else Trial(trial.rule, partial(_left, trial.rule, known))
            for trial in self._trials
            if trial.rule.id in rules
        ]


def _tree(rule: Rule) -> Node:
    return rule.tree


def _same(tree: Node) -> Node:
    return tree


def _always() -> Node:
    return _ALWAYS


def _left(rule: Rule, known: Callable[[Atom], bool | None]) -> Node:
    left = reduced(rule.tree, known)
    return left if not isinstance(left, bool) else _ALWAYS if left else _NEVER
