"""The engine for lines of JSON whose fields are called as the rules call them.

The fields that log sources ask for (Channel, EventID, …) decide an event's lane, where all that rules ask of them is
decided beforehand; the lane's gate tells from the line itself which rules are worth trying, and those are tried one
by one. Where they are many, the engine of `index.py` takes the event, whose time does not grow with their number.
`match.py` is the definition that all of this must agree with.
"""

from collections import deque
from collections.abc import Mapping

from secmon.model.event import Event, Value
from secmon.model.patterns import Compiler, compiled
from secmon.sigma.decide import reduced
from secmon.sigma.direct import View
from secmon.sigma.gate import MAX_WORK, Lane, Trial
from secmon.sigma.index import Engine
from secmon.sigma.native import native_route
from secmon.sigma.patterns import literal_of
from secmon.sigma.routing import Route, Router
from secmon.sigma.rule import LogSource, Rule, RuleSet
from secmon.sigma.tree import And, Atom, Exists, Null, Text, atoms_of
from secmon.sigma.values import fold, texts_of

_MAX_KEYS, _MAX_LANES = 8192, 4096
_MAX_KEY_CHARS = 256
_SAMPLE_LINES = 32

# What a field of the key is to a lane: a text that rules mention, or one of these.
_ABSENT, _OTHER, _SEVERAL = 0, 1, 2
# Of each field that log sources ask for: the texts they know among its values, "" for all others.
_Asked = tuple[frozenset[str], ...]
_Known = tuple[str | int, ...]
_ALWAYS = And(())


class LineEngine:
    """Matches events against a rule set, with the line they came from at hand.

    Args:
        ruleset: the rules.
        compiler: makes the databases that depend on the rules alone.
        router: where log sources are found.
    """

    def __init__(self, ruleset: RuleSet, *, compiler: Compiler = compiled, router: Router = native_route) -> None:
        self._ruleset, self._compiler, self._router = ruleset, compiler, router
        self._by_source: dict[LogSource, list[Rule]] = {}
        for rule in ruleset.rules:
            self._by_source.setdefault(rule.logsource, []).append(rule)
        routes = {source: router(source) for source in self._by_source}
        self._routes: dict[LogSource, Route] = {source: found for source, found in routes.items() if found}
        self._fields = tuple(sorted({name for found in self._routes.values() for name in found.fields}))
        self._asked = {name: _asked(name, self._routes) for name in self._fields}
        self._trials = {rule.id: Trial(rule, rule.tree) for rule in ruleset.rules}
        self._groups: dict[_Asked, _Group] = {}
        self._made: dict[tuple[_Asked, _Known], Lane] = {}
        self._lanes: dict[tuple[object, ...], Lane] = {}
        self._sample: deque[bytes] = deque(maxlen=_SAMPLE_LINES)
        self._engine: Engine | None = None

    def match_line(self, event: Event, line: bytes, *, verbatim: bool) -> list[Rule]:
        """Return the rules that the event of a line satisfies, by rule id.

        Args:
            event: the event; none of its values is a boolean, or a float that equals an integer but has another text.
            line: the line.
            verbatim: the values of the event stand in the line as they are, JSON's escapes aside.
        """
        get = event.get
        try:
            lane = self._lanes[tuple([get(name) for name in self._fields])]
        except (KeyError, TypeError):  # never seen, or a list
            lane = self._lane(event)
        trials = lane.candidates(line) if verbatim else lane.trials
        if not trials:
            return []
        if len(trials) * len(line) > MAX_WORK:
            return self._full_engine().match(event)
        view = View(event)
        return [trial.rule for trial in trials if trial.holds(view)]

    def _full_engine(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(self._ruleset, compiler=self._compiler, router=self._router)
        return self._engine

    def _lane(self, event: Event) -> Lane:
        """Return the lane of an event, and remember it for events with the very same key."""
        values = [event.get(name) for name in self._fields]
        asked = tuple(_routed(value, self._asked[name]) for name, value in zip(self._fields, values, strict=True))
        group = self._groups.get(asked)
        if group is None:
            sources = [source for source, found in self._routes.items() if found.accepts(event)]
            rules = [rule for source in sources for rule in self._by_source[source]]
            group = self._groups[asked] = _Group([self._trials[rule.id] for rule in rules], self._fields)
        known = group.known(event)
        lane = self._made.get((asked, known))
        if lane is None:
            if len(self._made) >= _MAX_LANES:
                self._groups.clear()
                self._made.clear()
                self._lanes.clear()
            lane = self._made[asked, known] = Lane(group.trials(known), self._sample)
        if not any(
            isinstance(value, list) or (isinstance(value, str) and len(value) > _MAX_KEY_CHARS) for value in values
        ):
            if len(self._lanes) >= _MAX_KEYS:
                self._lanes.clear()
            self._lanes[tuple(values)] = lane
        return lane


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

    __slots__ = ("_fields", "_mentioned", "_trials")

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
        self._fields = tuple(sorted(mentioned))
        self._mentioned = mentioned

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

    def trials(self, values: _Known) -> list[Trial]:
        """Return what is left to try of the rules where this is known."""
        key = dict(zip(self._fields, values, strict=True))

        def known(atom: Atom) -> bool | None:
            if not isinstance(atom, Text | Null | Exists):
                return None
            value = key.get(atom.field, _SEVERAL)
            if not isinstance(atom, Text):
                return None if value == _SEVERAL else (value == _ABSENT) is isinstance(atom, Null)
            if value == _ABSENT:
                return False
            literal = None if atom.cased else literal_of(atom.pattern)
            return None if value == _SEVERAL or not literal else fold(literal) == value

        trials = []
        decided = frozenset(self._fields)
        for trial in self._trials:
            left = trial.tree if decided.isdisjoint(trial.rule.fields) else reduced(trial.tree, known)
            if left is True:
                trials.append(Trial(trial.rule, _ALWAYS))
            elif left is not False:
                trials.append(trial if left is trial.tree else Trial(trial.rule, left))
        return trials
