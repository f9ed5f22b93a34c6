r"""Rules as questions to a store that find every event they match, and some more: a filter before the engine.

Each condition becomes one of `model.query` that holds wherever it does. Where the two see a value differently, the
question is the wider one:

- Sigma folds case by Unicode, a store A–Z only: a character with a partner outside of that stands for any one (`?`).
- A query sees the text of 4625.0 as "4625.0", Sigma as "4625"; and U+001F parts values for a query, not for Sigma.
- What is negated, looks into all fields, or compares two fields is left out.

By induction over `AllOf` and `AnyOf` the whole is a superset too, and a store answers a query exactly (`store.bounds`).

Sources: Unicode Character Database, UnicodeData.txt (Simple_Lowercase_Mapping) and CaseFolding.txt (which RE2 follows).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_network
from itertools import product
from math import isfinite

from secmon.model.query import (
    EVERYTHING,
    Addresses,
    AllOf,
    AnyOf,
    Equals,
    Exists,
    Leaf,
    Like,
    Numbers,
    Query,
    leaves,
    literal,
    number_of_address,
)
from secmon.model.query import Not as Negated
from secmon.sigma import tree
from secmon.sigma.literals import literals_of
from secmon.sigma.routing import Route, Router, route
from secmon.sigma.rule import Rule
from secmon.sigma.tree import And, Atom, Cidr, Compare, FieldReference, Node, Not, Operator, Or, Pattern, Regex, Text

MAX_LEAVES = 200
"""More conditions than this cost a store more than reading a few events too many."""
_MAX_DEPTH = 8
_MAX_ANY = 4
_MAX_VARIANTS = 3
_MAX_LITERAL = 200
_MIN_LITERAL = 3
_SPACE = " "

# ASCII letters with a partner outside of ASCII: U+0130 and U+212A, and for regular expressions U+017F.
_FOLDED_ASCII = {"i": "\u0130", "k": "\u212a"}
_REGEX_DELICATE = frozenset("ikIKsS")

# A character of a pattern, as `Like` writes it; any one character; a gap.
_Token = str
_ANY, _BREAK = "?", ""


@dataclass(frozen=True, slots=True)
class _Run:
    """What stands in a value without a gap.

    Args:
        characters: each of them, or `_ANY`, as a pattern of `Like` writes it.
        first: the value begins with it.
        last: the value ends with it.
    """

    characters: tuple[str, ...]
    first: bool
    last: bool


def of_rule(rule: Rule, *, router: Router = route) -> Query:
    """Return a question that finds every event a rule matches."""
    found = router(rule.logsource)
    return all_of([of_route(found) if found else EVERYTHING, of_tree(rule.tree)])


def of_rules(rules: Iterable[Rule], *, router: Router = route) -> Query:
    """Return a question that finds every event that one of some rules matches."""
    return bounded(any_of([of_rule(rule, router=router) for rule in rules]))


def of_route(found: Route) -> Query:
    """Return a question that finds every event of a log source."""
    return all_of(
        any_of(all_of(_accepted(name, texts) for name, texts in option.items()) for option in options)
        for options in found.requirements
    )


def _accepted(name: str, texts: frozenset[str]) -> Query:
    return any_of(_equal(name, text) for text in sorted(texts)) if texts else Exists(name)


def of_tree(node: Node) -> Query:
    """Return a question that finds every event for which a condition holds."""
    return bounded(_of(node, 0))


def bounded(query: Query) -> Query:
    """Return a question that a store answers in reasonable time: the fields alone, where there are too many values."""
    if _count(query) <= MAX_LEAVES:
        return query
    coarse = _mapped(query, lambda leaf: Exists(leaf.field))
    return coarse if _count(coarse) <= MAX_LEAVES else EVERYTHING


def only(query: Query, keep: Callable[[Leaf], bool]) -> Query:
    """Return a wider question: some of its conditions, and none of the others; nothing of what is negated."""
    return _mapped(query, lambda leaf: leaf if keep(leaf) else EVERYTHING)


def _count(query: Query) -> int:
    return sum(1 for _ in leaves(query))


def _mapped(query: Query, change: Callable[[Leaf], Query]) -> Query:
    if isinstance(query, AllOf):
        return all_of(_mapped(part, change) for part in query.parts)
    if isinstance(query, AnyOf):
        return any_of(_mapped(part, change) for part in query.parts)
    return EVERYTHING if isinstance(query, Negated) else change(query)


def all_of(parts: Iterable[Query]) -> Query:
    """Return the question that all parts hold, in its simplest form."""
    flat: dict[Query, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, AllOf) else (part,)))
    found = tuple(flat)
    return found[0] if len(found) == 1 else AllOf(found)


def any_of(parts: Iterable[Query]) -> Query:
    """Return the question that one of the parts holds, in its simplest form."""
    flat: dict[Query, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, AnyOf) else (part,)))
    if EVERYTHING in flat:
        return EVERYTHING
    found = tuple(flat)
    return found[0] if len(found) == 1 else AnyOf(found)


def _of(node: Node, depth: int) -> Query:
    if depth > _MAX_DEPTH:
        return EVERYTHING
    if isinstance(node, And):
        return all_of(_of(child, depth + 1) for child in node.nodes)
    if isinstance(node, Or):
        return any_of(_of(child, depth + 1) for child in node.nodes)
    if isinstance(node, Not):
        return Exists(node.node.field) if isinstance(node.node, tree.Null) else EVERYTHING
    return _atom(node)


def _atom(atom: Atom) -> Query:  # noqa: PLR0911  one return for each kind of atom
    match atom:
        case Text():
            return _text(atom.field, atom.pattern, delicate=_is_never_delicate if atom.cased else _is_delicate)
        case Regex():
            return _regex(atom)
        case Compare():
            return _compare(atom)
        case Cidr():
            return _network(atom)
        case tree.Exists():
            return Exists(atom.field)
        case FieldReference():
            return all_of([Exists(atom.field), Exists(atom.other)])
        case _:
            return EVERYTHING


def _is_never_delicate(character: str) -> bool:
    del character
    return False


def _is_delicate(character: str) -> bool:
    """Tell whether another character than its own upper or lower case in ASCII may fold to the same."""
    if character.isascii():
        return character.lower() in _FOLDED_ASCII
    return character.lower() != character or character.upper() != character


def _is_delicate_in_regex(character: str) -> bool:
    return character in _REGEX_DELICATE or not character.isascii()


def _text(field: str, pattern: Pattern, *, delicate: Callable[[str], bool]) -> Query:
    runs = _runs(pattern, delicate)
    if len(runs) == 1 and runs[0].first and runs[0].last and isinstance(pattern[0], str):
        variants = _variants(pattern[0], delicate)
        if variants:
            return any_of(_equal_numbers(field, text) for text in variants)
    return all_of([_run(field, run) for run in _worthwhile(runs)] or [Exists(field)])


def _equal(field: str, text: str) -> Query:
    """Return the question whether a value is a text, for those who fold by Unicode."""
    return _text(field, (text,), delicate=_is_delicate)


def _variants(text: str, delicate: Callable[[str], bool]) -> list[str]:
    """Return the texts that fold to the same, A–Z aside; none if they are too many or not known."""
    doubtful = [character for character in text if delicate(character)]
    if len(doubtful) > _MAX_VARIANTS or not all(character.isascii() for character in doubtful):
        return []
    options = [(each, _FOLDED_ASCII[each.lower()]) if delicate(each) else (each,) for each in text]
    return ["".join(each) for each in product(*options)]


def _equal_numbers(field: str, text: str) -> Query:
    """Return the question whether a value is a text, or the fraction without a rest that Sigma writes like it."""
    if not _may_be_whole(text):
        return Equals(field, text)
    more = [Equals(field, "-0.0")] if text == "0" else []
    return any_of([Equals(field, text), Equals(field, f"{text}.0"), *more])


def _may_be_whole(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit()


def _runs(pattern: Pattern, delicate: Callable[[str], bool]) -> list[_Run]:
    """Return what must stand in a value without a gap: wildcards, control characters and surrogates part it."""
    tokens: list[_Token] = []
    for part in pattern:
        if not isinstance(part, str):
            tokens.append(_BREAK)
            continue
        for each in part:
            if each < _SPACE or "\ud800" <= each <= "\udfff":
                tokens.append(_BREAK)
            else:
                tokens.append(_ANY if delicate(each) else literal(each))
    runs: list[_Run] = []
    start = 0
    for at in [*(place for place, token in enumerate(tokens) if token == _BREAK), len(tokens)]:
        if at > start:
            runs += _short(_Run(tuple(tokens[start:at]), first=start == 0, last=at == len(tokens)))
        start = at + 1
    return runs


def _short(run: _Run) -> list[_Run]:
    """Return a run, or its parts where an automaton over all of it would grow too large."""
    if len(run.characters) <= _MAX_LITERAL and run.characters.count(_ANY) <= _MAX_ANY:
        return [run]
    parts: list[_Run] = []
    start, size = 0, len(run.characters)
    for at in range(size + 1):
        if at == size or run.characters[at] == _ANY or at - start == _MAX_LITERAL:
            if at > start:
                is_first, is_last = run.first and start == 0, run.last and at == size
                parts.append(_Run(run.characters[start:at], is_first, is_last))
            start = at + (at < size and run.characters[at] == _ANY)
    return parts


def _worthwhile(runs: list[_Run]) -> list[_Run]:
    """Return the runs that say something, the longest ones; a letter stands in every value."""
    known = [run for run in runs if len(run.characters) - run.characters.count(_ANY) > 0]
    long = [run for run in known if len(run.characters) - run.characters.count(_ANY) >= _MIN_LITERAL]
    return sorted(long or known[:1], key=lambda run: -len(run.characters))[:4]


def _run(field: str, run: _Run) -> Query:
    text = "".join(run.characters)
    found = [f"{'' if run.first else '*'}{text}{'' if run.last else '*'}"]
    is_whole = _may_be_whole(text)
    if run.last and is_whole:
        found.append(f"{found[0]}.0")
    if run.first and text == "0":
        found.append("-0.0")
    return any_of(Like(field, pattern) for pattern in found)


def _regex(atom: Regex) -> Query:
    """Return the question for the texts that stand in everything that an expression finds."""
    runs: list[_Run] = []
    for each in literals_of(atom.expression):
        runs += _runs((tree.ANY_TEXT, each, tree.ANY_TEXT), _is_delicate_in_regex)
    return all_of([_run(atom.field, run) for run in _worthwhile(runs)] or [Exists(atom.field)])


# What of a float the shortest decimal form and rounding may hide.
_SLACK = Decimal("1e-9")
_LONGER_THAN_QUERIES_READ = "?" * 41 + "*"


def _compare(atom: Compare) -> Query:
    """Return the question for a range of numbers, and for those that a query does not read as numbers."""
    if atom.part is not None or atom.operator is Operator.NEQ or not isfinite(atom.number):
        return Exists(atom.field)
    number = Decimal(atom.number)
    slack = abs(number) * _SLACK
    is_lower = atom.operator in {Operator.GT, Operator.GTE, Operator.EQ}
    is_upper = atom.operator in {Operator.LT, Operator.LTE, Operator.EQ}
    found = Numbers(
        field=atom.field, low=number - slack if is_lower else None, high=number + slack if is_upper else None
    )
    return any_of([found, Like(atom.field, "+*"), Like(atom.field, _LONGER_THAN_QUERIES_READ)])


def _network(atom: Cidr) -> Query:
    """Return the question for a network, and for addresses with a zone, which no range of a query holds."""
    network = ip_network(atom.network)
    low, high = number_of_address(network.network_address), number_of_address(network.broadcast_address)
    return any_of([Addresses(field=atom.field, low=low, high=high), Like(atom.field, "*%*")])
