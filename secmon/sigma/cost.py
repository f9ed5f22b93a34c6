"""What each rule costs: a run of its own over events, never counters in the engine that matches all day.

The engine decides most of a rule's atoms for all rules at once: equal texts by look-up, parts of texts by one scan of
the value. What is left is counted and timed here, rule by rule: how often a rule had to be tried because something it
cannot do without was true (or because it has nothing of the kind), and how long these trials took; where it had not to
be tried, how long those of its atoms took that no scan can decide, because the engine decides them for every value.
Nothing of that is remembered between events here: this is the price of events that are all new.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from secmon.model.cache import Budget
from secmon.model.event import Event
from secmon.model.patterns import Compiler, compiled
from secmon.sigma.decide import necessary
from secmon.sigma.direct import Condition, View, condition
from secmon.sigma.index import DEFAULT_CACHE_BYTES
from secmon.sigma.match import value_holds
from secmon.sigma.patterns import needle_of, regex_needle
from secmon.sigma.routing import Route, Router, route
from secmon.sigma.rule import LogSource, Rule
from secmon.sigma.scanner import FieldScanner
from secmon.sigma.tree import (
    ANY_TEXT,
    Atom,
    Cidr,
    Compare,
    Exists,
    FieldReference,
    Keyword,
    KeywordRegex,
    Null,
    Regex,
    Text,
    ValueAtom,
    atoms_of,
)

Clock = Callable[[], float]
_RE2_ALONE = "regular expression for RE2 alone"


@dataclass(frozen=True, slots=True)
class RuleCost:
    """What one rule cost.

    Args:
        rule: the rule.
        events: events of its log source.
        evaluations: events on which it had to be tried.
        hits: events that it matched.
        seconds: what its trials took; else its atoms that no scan decides.
        slow_atoms: its atoms that no scan decides, each as "kind: field", once.
        is_always_tried: it has nothing that it cannot do without.
    """

    rule: Rule
    events: int
    evaluations: int
    hits: int
    seconds: float
    slow_atoms: tuple[str, ...]
    is_always_tried: bool


@dataclass(slots=True)
class _Profiled:
    """One rule under observation.

    Args:
        needed: numbers of atoms of which one must be true; None if there are none such, or keywords among them.
        own: its value atoms that no scan decides: they are decided for every value of their fields.
    """

    rule: Rule
    holds: Condition
    needed: frozenset[int] | None
    own: tuple[ValueAtom, ...]
    slow: tuple[str, ...]
    events: int = 0
    evaluations: int = 0
    hits: int = 0
    seconds: float = 0.0

    def leave(self, refused: Iterable[Atom]) -> None:
        """Count atoms as decided by no scan: hyperscan refused their expressions."""
        for atom in dict.fromkeys(refused):
            if isinstance(atom, Regex):
                self.own = (*self.own, atom)
                self.slow = tuple(dict.fromkeys((*self.slow, f"{_RE2_ALONE}: {atom.field}")))

    def look(self, view: View, known: AbstractSet[int], clock: Clock) -> None:
        """Take an event of the rule's log source, with the numbers of the atoms that are true."""
        self.events += 1
        if self.needed is None or not self.needed.isdisjoint(known):
            self.evaluations += 1
            begun = clock()
            self.hits += self.holds(view)
            self.seconds += clock() - begun
        elif self.own:
            begun = clock()
            for atom in self.own:
                for text in view.texts[atom.field]:
                    value_holds(atom, text)
            self.seconds += clock() - begun


class Profile:
    """A run over events.

    Args:
        rules: the rules.
        clock: seconds that never go back, as fine as there are.
        router: where log sources are found.
        compiler: makes the databases.
    """

    def __init__(
        self, rules: Iterable[Rule], clock: Clock, *, router: Router = route, compiler: Compiler = compiled
    ) -> None:
        self._clock = clock
        self._numbers: dict[Atom, int] = {}
        self._routes: dict[LogSource, tuple[Route, list[_Profiled]]] = {}
        for rule in rules:
            found = router(rule.logsource)
            if found is not None:
                self._routes.setdefault(rule.logsource, (found, []))[1].append(self._profiled(rule))
        by_field: dict[str, dict[int, ValueAtom]] = {}
        for atom, number in self._numbers.items():
            if isinstance(atom, ValueAtom):
                by_field.setdefault(atom.field, {})[number] = atom
        budget = Budget(DEFAULT_CACHE_BYTES)
        self._scanners = {name: FieldScanner(atoms, budget, compiler) for name, atoms in by_field.items()}
        for scanner in self._scanners.values():
            scanner.build()
        if refused := frozenset().union(*(scanner.refused for scanner in self._scanners.values())):
            for _, several in self._routes.values():
                for profiled in several:
                    profiled.leave(atom for atom in atoms_of(profiled.rule.tree) if self._numbers.get(atom) in refused)
        self.events = 0
        """Events so far."""

    def _profiled(self, rule: Rule) -> _Profiled:
        atoms = list(atoms_of(rule.tree))
        scanned = {
            id(atom): at for at, atom in enumerate(atoms) if isinstance(atom, ValueAtom | Keyword | KeywordRegex)
        }
        found = necessary(rule.tree, scanned)
        cover = None if found is None else [atoms[at] for at in found]
        values = [atom for atom in cover or () if isinstance(atom, ValueAtom)]
        needed = None
        if cover is not None and len(values) == len(cover):
            needed = frozenset(self._numbers.setdefault(atom, len(self._numbers)) for atom in values)
        distinct = list(dict.fromkeys(atoms))
        own = tuple(atom for atom in distinct if isinstance(atom, ValueAtom) and kind_of(atom))
        slow = dict.fromkeys(f"{kind}: {_field_of(atom)}" for atom in distinct if (kind := kind_of(atom)))
        return _Profiled(rule, condition(rule.tree), needed, own, tuple(slow))

    def add(self, event: Event) -> None:
        """Try all rules of an event's log sources on it."""
        self.events += 1
        sources = [profiled for found, profiled in self._routes.values() if found.accepts(event)]
        if not sources:
            return
        known: set[int] = set()
        for name, scanner in self._scanners.items():
            value = event.get(name)
            if value is not None:
                known |= scanner.of_value(value)
        view = View(event)
        for profiled in sources:
            for one in profiled:
                for name in one.rule.fields:  # made once for all rules, so none of them is charged with it
                    view.folded[name]
                one.look(view, known, self._clock)

    def costs(self) -> list[RuleCost]:
        """Return what each rule cost, the dearest first."""
        found = [_cost(one) for _, profiled in self._routes.values() for one in profiled]
        return sorted(found, key=lambda cost: (-cost.seconds, cost.rule.id))


def _cost(one: _Profiled) -> RuleCost:
    return RuleCost(one.rule, one.events, one.evaluations, one.hits, one.seconds, one.slow, one.needed is None)


_REASONS: Mapping[type[Atom], str] = {
    Compare: "comparison of numbers",
    Cidr: "network",
    Null: "null or exists",
    Exists: "null or exists",
    FieldReference: "comparison of fields",
    Keyword: "keyword in any field",
    KeywordRegex: "regular expression over all fields",
}


def kind_of(atom: Atom) -> str:
    """Return why no scan decides an atom; "" where a look-up or a scan does."""
    if isinstance(atom, Text):
        return "" if _is_scanned(atom) else "nothing but wildcards"
    if isinstance(atom, Regex):
        return "" if regex_needle(0, atom.expression, atom.flags) else _RE2_ALONE
    return _REASONS[type(atom)]


def _is_scanned(atom: Text) -> bool:
    pattern = atom.pattern
    return not pattern or pattern == (ANY_TEXT,) or needle_of(0, pattern, cased=atom.cased) is not None


def _field_of(atom: Atom) -> str:
    return "*" if isinstance(atom, Keyword | KeywordRegex) else atom.field
