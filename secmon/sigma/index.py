"""The fast engine: finds the rules that an event satisfies without trying them one by one.

Log values repeat enormously. Per set of log sources that an event belongs to there is a plan: the distinct atoms
of its rules, per field one scanner that decides all of them in one pass, and two memories: the true atoms of each
(field, value), and the rules matched by each combination of those sets. A rule is evaluated only when a combination
is new and an atom that the rule cannot do without is true. `match.py` is the definition this must agree with.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from sys import getsizeof

from secmon.model.cache import ENTRY_BYTES, Budget, Cache, size_of
from secmon.model.event import Event, Value
from secmon.model.patterns import Compiler, compiled
from secmon.sigma.decide import Verdict, necessary, verdict
from secmon.sigma.match import holds
from secmon.sigma.routing import Route, Router, route
from secmon.sigma.rule import LogSource, Rule, RuleSet
from secmon.sigma.scanner import NONE, FieldScanner, KeywordScanner
from secmon.sigma.tree import Atom, Keyword, KeywordRegex, ValueAtom, atoms_of
from secmon.sigma.values import text_of, texts_of

DEFAULT_CACHE_BYTES = 64 << 20
# A larger key is of an event of its own; it hardly ever comes back.
_MAX_KEY_BYTES = 4_096
# Comparisons in the plans for several log sources at a time, about 64 bytes each. Beyond it each source is asked alone:
# there are as many combinations of sources as an event can be made to name.
MAX_PLANNED = 1_000_000

# Rules that match for sure, and rules that the event itself must decide.
_Found = tuple[tuple[Rule, ...], tuple[Rule, ...]]
_NOTHING: _Found = ((), ())


@dataclass(frozen=True, slots=True)
class _Indexed:
    """A rule as the engine tries it.

    Args:
        verdict: its tree as functions of the true atoms.
        needed: atoms of which one must be true, None if there are none such.
        by_field: its value atoms.
        keywords: its keywords.
    """

    rule: Rule
    verdict: Verdict
    needed: frozenset[int] | None
    by_field: Mapping[str, frozenset[int]]
    keywords: frozenset[int]


class _Atoms:
    """Numbers for the distinct atoms of all rules, and the scanners over them; rules are indexed when first asked."""

    def __init__(self, rules: Iterable[Rule], budget: Budget, compiler: Compiler) -> None:
        self._budget, self._compiler = budget, compiler
        self._numbers: dict[Atom, int] = {}
        self._atoms: list[Atom] = []
        self._indexed: dict[str, _Indexed] = {}
        self._by_field: dict[str, set[int]] = {}
        self._scanners: dict[str, FieldScanner] = {}
        for rule in rules:
            for atom in atoms_of(rule.tree):
                if isinstance(atom, ValueAtom):
                    self._by_field.setdefault(atom.field, set()).add(self._number(atom))

    def indexed(self, rule: Rule) -> _Indexed:
        """Return a rule with its atoms numbered."""
        found = self._indexed.get(rule.id)
        if found is None:
            found = self._indexed[rule.id] = self._index(rule)
        return found

    def _index(self, rule: Rule) -> _Indexed:
        by_field: dict[str, set[int]] = {}
        keywords: set[int] = set()
        numbers: dict[int, int] = {}
        for atom in atoms_of(rule.tree):
            if isinstance(atom, ValueAtom):
                number = numbers[id(atom)] = self._number(atom)
                by_field.setdefault(atom.field, set()).add(number)
            elif isinstance(atom, Keyword | KeywordRegex):
                number = numbers[id(atom)] = self._number(atom)
                keywords.add(number)
        return _Indexed(
            rule,
            verdict(rule.tree, numbers),
            necessary(rule.tree, numbers),
            {name: frozenset(found) for name, found in by_field.items()},
            frozenset(keywords),
        )

    def _number(self, atom: Atom) -> int:
        number = self._numbers.get(atom)
        if number is None:
            number = self._numbers[atom] = len(self._atoms)
            self._atoms.append(atom)
        return number

    def build(self) -> None:
        """Build the databases of all fields."""
        for field in self._by_field:
            self.scanner(field).build()

    def scanner(self, field: str) -> FieldScanner:
        """Return the scanner of all atoms of a field."""
        found = self._scanners.get(field)
        if found is None:
            numbers = sorted(self._by_field[field])
            atoms = {number: atom for number in numbers if isinstance(atom := self._atoms[number], ValueAtom)}
            found = self._scanners[field] = FieldScanner(atoms, self._budget, self._compiler)
        return found

    def keywords(self, numbers: frozenset[int]) -> KeywordScanner | None:
        """Return the scanner of some keywords, None for none."""
        atoms = {number: atom for number in numbers if isinstance(atom := self._atoms[number], Keyword | KeywordRegex)}
        return KeywordScanner(atoms, self._compiler) if atoms else None


class Engine:
    """Matches events against a rule set.

    Args:
        ruleset: the rules.
        cache_bytes: about how much the memories may hold, all together; the databases come on top.
        compiler: makes the databases.
        router: where log sources are found.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        compiler: Compiler = compiled,
        router: Router = route,
    ) -> None:
        self._budget = Budget(cache_bytes)
        self._atoms = _Atoms(ruleset.rules, self._budget, compiler)
        self._by_source: dict[LogSource, list[Rule]] = {}
        for rule in ruleset.rules:
            self._by_source.setdefault(rule.logsource, []).append(rule)
        routes = {source: router(source) for source in self._by_source}
        self._routes: dict[LogSource, Route] = {source: found for source, found in routes.items() if found}
        self._fields = tuple(sorted({name for found in self._routes.values() for name in found.fields}))
        self._plans: dict[frozenset[LogSource], _Plan] = {}
        self._planned = 0
        self._keys: Cache[tuple[object, ...], tuple[_Plan, ...]] = Cache(self._budget)
        self._plans_of = self._keys.young

    def build(self) -> None:
        """Build all databases now (seconds for thousands of rules), not each when its field is first seen.

        Worth it before processes are forked: they then share what was built.
        """
        self._atoms.build()

    def match(self, event: Event) -> list[Rule]:
        """Return the rules that an event satisfies, by rule id."""
        key = tuple([v if v.__class__ is str or v is None else _key_of(v) for v in map(event.get, self._fields)])
        plans = self._plans_of.get(key)
        if plans is None:
            plans = self._find_plans(key, event)
        if len(plans) == 1:
            return plans[0].match(event)
        return sorted((rule for plan in plans for rule in plan.match(event)), key=lambda rule: rule.id)

    def _find_plans(self, key: tuple[object, ...], event: Event) -> "tuple[_Plan, ...]":
        """Return one plan for all log sources of an event, or as many as it has sources; remember them by the key."""
        plans = self._keys.old(key)
        if plans is None:
            sources = frozenset(source for source, found in self._routes.items() if found.accepts(event))
            plan = self._plan(sources)
            plans = (plan,) if plan else tuple(filter(None, map(self._plan, map(frozenset, zip(sources)))))
        cost = ENTRY_BYTES + size_of(key)
        if cost <= _MAX_KEY_BYTES:
            self._keys.put(key, plans, cost)
        return plans

    def _plan(self, sources: frozenset[LogSource]) -> "_Plan | None":
        """Return the plan for the events of some log sources; None if there are plans enough."""
        plan = self._plans.get(sources)
        if plan is None and (len(sources) <= 1 or self._planned < MAX_PLANNED):
            rules = [rule for source in sources for rule in self._by_source[source]]
            plan = self._plans[sources] = _Plan(rules, self._atoms, self._budget)
            self._planned += plan.size if len(sources) > 1 else 0
        return plan


def _key_of(value: Value) -> str | tuple[str, ...]:
    """Return the texts that routes compare: Python takes True, 1 and 1.0 for one key, Sigma does not."""
    return tuple(texts_of(value)) if isinstance(value, list) else text_of(value)


class _Narrowing:
    """From all true atoms of a field to those that a plan asks for: fewer combinations to remember.

    Args:
        wanted: the plan's atoms of the field.
        budget: shared budget of the caches.
    """

    __slots__ = ("_cache", "_wanted", "known")

    def __init__(self, wanted: frozenset[int], budget: Budget) -> None:
        self._wanted = wanted
        self._cache: Cache[frozenset[int], frozenset[int]] = Cache(budget)
        self.known = self._cache.young

    def of(self, found: frozenset[int]) -> frozenset[int]:
        """Return the wanted ones of some true atoms."""
        ours = self._cache.old(found)
        if ours is None:
            ours = (found & self._wanted) or NONE
        self._cache.put(found, ours, ENTRY_BYTES + getsizeof(found) + getsizeof(ours))
        return ours


class _Plan:
    """The rules for the events of one set of log sources."""

    __slots__ = ("_always", "_fields", "_index", "_keywords", "_memo", "_rules", "_seen", "size")

    def __init__(self, rules: Iterable[Rule], atoms: _Atoms, budget: Budget) -> None:
        self._rules = [atoms.indexed(rule) for rule in sorted(rules, key=lambda rule: rule.id)]
        self._index: dict[int, list[int]] = {}
        self._always: list[int] = []
        self.size = sum(1 + sum(map(len, indexed.by_field.values())) for indexed in self._rules)
        """Comparisons of its rules, and a little more."""
        by_field: dict[str, set[int]] = {}
        for place, indexed in enumerate(self._rules):
            for name, numbers in indexed.by_field.items():
                by_field.setdefault(name, set()).update(numbers)
            if indexed.needed is None:
                self._always.append(place)
            for number in indexed.needed or ():
                self._index.setdefault(number, []).append(place)
        self._keywords = atoms.keywords(NONE.union(*(indexed.keywords for indexed in self._rules)))
        self._fields = tuple(
            (name, scanner.known.get, narrow.known.get, scanner, narrow)
            for name, numbers in by_field.items()
            for scanner, narrow in [(atoms.scanner(name), _Narrowing(frozenset(numbers), budget))]
        )
        self._memo: Cache[tuple[frozenset[int], ...], _Found] = Cache(budget)
        self._seen = self._memo.young

    def match(self, event: Event) -> list[Rule]:
        """Return the rules that an event of these log sources satisfies, by rule id."""
        key = []
        get = event.get
        for name, known, narrowed, scanner, narrow in self._fields:
            value = get(name)
            if value is None:
                continue
            found = known(value) if value.__class__ is str else scanner.of_value(value)
            if found is None:
                found = scanner.of_text(value)  # type: ignore[arg-type]  # text: anything else was not None
            if found:
                ours = narrowed(found)
                if ours is None:
                    ours = narrow.of(found)
                if ours:
                    key.append(ours)
        if self._keywords is not None:
            found = self._keywords.may_stand_in(event)
            if found:
                key.append(found)
        combination = tuple(key)
        sure, unsure = self._seen.get(combination) or self._decide(combination)
        if unsure:
            decided = [*sure, *(rule for rule in unsure if holds(rule.tree, event))]
            return sorted(decided, key=lambda rule: rule.id)
        return list(sure)

    def _decide(self, combination: tuple[frozenset[int], ...]) -> _Found:
        found = self._memo.old(combination)
        if found is None:
            found = self._evaluate(NONE.union(*combination))
        sets = sum(map(getsizeof, combination))
        self._memo.put(combination, found, ENTRY_BYTES + getsizeof(combination) + sets + 8 * sum(map(len, found)))
        return found

    def _evaluate(self, known: frozenset[int]) -> _Found:
        """Try the rules of which a necessary atom is known to be true, or that have none."""
        places = set(self._always)
        index = self._index
        for number in known:
            if number in index:
                places.update(index[number])
        sure: list[Rule] = []
        unsure: list[Rule] = []
        for place in sorted(places):
            indexed = self._rules[place]
            if indexed.verdict.may(known):
                (sure if indexed.verdict.must(known) else unsure).append(indexed.rule)
        return (tuple(sure), tuple(unsure)) if sure or unsure else _NOTHING
