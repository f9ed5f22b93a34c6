"""Conditions as plain functions of one event: for the few rules that are worth trying.

Every atom becomes a closure over its texts, folded beforehand; what is rare is left to the definition in `match.py`,
with which all of this must agree. The texts of a field are made once for all the rules that ask for it.
"""

from collections.abc import Callable, Iterable

from secmon.model.event import Event
from secmon.sigma import regexes
from secmon.sigma.match import holds, searched_texts, value_holds
from secmon.sigma.tree import (
    ANY_CHARACTER,
    ANY_TEXT,
    And,
    Atom,
    Exists,
    Keyword,
    KeywordRegex,
    Node,
    Not,
    Null,
    Or,
    Pattern,
    Regex,
    Text,
    ValueAtom,
)
from secmon.sigma.values import fold, texts_of

# The searched values of an event, whatever their field, go by this name; no field has it, for names are not empty.
_SEARCHED = ""
_ANY = (ANY_TEXT,)


class View:
    """The texts of one event, made when they are first asked for.

    Args:
        event: the event.
    """

    __slots__ = ("event", "folded", "texts")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.texts = _Texts(event)
        """Field → text of each of its values; "" → those of all fields that keywords look into."""
        self.folded = _Folded(event, self.texts)
        """The same in lower case."""


class _Texts(dict[str, tuple[str, ...]]):
    __slots__ = ("_event",)

    def __init__(self, event: Event) -> None:
        self._event = event

    def __missing__(self, field: str) -> tuple[str, ...]:
        if field == _SEARCHED:
            texts = tuple(searched_texts(self._event))
        else:
            value = self._event.get(field)
            texts = (value,) if value.__class__ is str else tuple(texts_of(value))
        self[field] = texts
        return texts


class _Folded(dict[str, tuple[str, ...]]):
    __slots__ = ("_event", "_texts")

    def __init__(self, event: Event, texts: _Texts) -> None:
        self._event, self._texts = event, texts

    def __missing__(self, field: str) -> tuple[str, ...]:
        value = self._event.get(field) if field else None
        texts = (fold(value),) if value.__class__ is str else tuple(map(fold, self._texts[field]))
        self[field] = texts
        return texts


Condition = Callable[[View], bool]
_Fits = Callable[[str], bool]


def condition(node: Node) -> Condition:
    """Return the function that tells whether a condition holds; it agrees with `match.holds` on every event."""
    if isinstance(node, Not):
        inner = condition(node.node)
        return lambda view: not inner(view)
    if isinstance(node, And):
        return _all([condition(child) for child in sorted(node.nodes, key=_effort)])
    if isinstance(node, Or):
        return _any(_alternatives(node.nodes))
    return _atom(node)


def _effort(node: Node) -> int:
    """Return about how much work it is to decide a condition: what is quick goes first."""
    kind = type(node)
    if kind is Text:
        return 0
    if kind is Null or kind is Exists:
        return 1
    if kind is Not:
        return max(2, _effort(node.node))  # type: ignore[union-attr]  # by its type
    if kind is And or kind is Or:
        return max(2, *map(_effort, node.nodes))  # type: ignore[union-attr]  # by its type
    return 4 if kind in _SLOWEST else 3


_SLOWEST = frozenset({Keyword, KeywordRegex, Regex})


def _all(conditions: list[Condition]) -> Condition:
    if len(conditions) == 1:
        return conditions[0]

    def every(view: View) -> bool:
        for each in conditions:  # noqa: SIM110  a generator costs more than most conditions
            if not each(view):
                return False
        return True

    return every


def _any(conditions: list[Condition]) -> Condition:
    if len(conditions) == 1:
        return conditions[0]

    def some(view: View) -> bool:
        for each in conditions:  # noqa: SIM110  the same
            if each(view):
                return True
        return False

    return some


def _alternatives(nodes: Iterable[Node]) -> list[Condition]:
    """Return the functions of some alternatives, those that look for texts in one field all in one."""
    conditions: list[Condition] = []
    together: dict[tuple[str, bool], list[Pattern]] = {}
    for node in nodes:
        if isinstance(node, Text | Keyword):
            field, pattern = _searched(node)
            together.setdefault((field, node.cased), []).append(pattern)
        else:
            conditions.append(condition(node))
    return [_texts(field, patterns, cased=cased) for (field, cased), patterns in together.items()] + conditions


def _atom(atom: Atom) -> Condition:
    if isinstance(atom, Text | Keyword):
        field, pattern = _searched(atom)
        return _texts(field, [pattern], cased=atom.cased)
    if isinstance(atom, Regex):
        name, expression, flags = atom.field, atom.expression, atom.flags
        return lambda view: any(regexes.finds(expression, flags, text) for text in view.texts[name])
    if isinstance(atom, Null | Exists):
        name, there = atom.field, isinstance(atom, Exists)
        return lambda view: bool(view.texts[name]) is there
    if isinstance(atom, ValueAtom):
        name, decided = atom.field, atom
        return lambda view: any(value_holds(decided, text) for text in view.texts[name])
    other = atom
    return lambda view: holds(other, view.event)


def _searched(atom: Text | Keyword) -> tuple[str, Pattern]:
    """Return where an atom looks, and what must describe a whole value there."""
    return (atom.field, atom.pattern) if isinstance(atom, Text) else (_SEARCHED, (ANY_TEXT, *atom.pattern, ANY_TEXT))


def _texts(field: str, patterns: list[Pattern], *, cased: bool) -> Condition:
    """Return the function that tells whether a value of a field fits one of some patterns."""
    sorted_out = _Sorted(cased=cased)
    for pattern in patterns:
        sorted_out.add(field, pattern)
    fits = sorted_out.functions()
    if len(fits) == 1:
        (fit,) = fits
        return _one_fits_cased(field, fit) if cased else _one_fits(field, fit)

    def fits_one(text: str) -> bool:
        for each in fits:  # noqa: SIM110  a generator costs more than most of them
            if each(text):
                return True
        return False

    return _one_fits_cased(field, fits_one) if cased else _one_fits(field, fits_one)


def _one_fits(field: str, fits: _Fits) -> Condition:
    def holds_folded(view: View) -> bool:
        for text in view.folded[field]:  # noqa: SIM110  the same
            if fits(text):
                return True
        return False

    return holds_folded


def _one_fits_cased(field: str, fits: _Fits) -> Condition:
    def holds_cased(view: View) -> bool:
        for text in view.texts[field]:  # noqa: SIM110  the same
            if fits(text):
                return True
        return False

    return holds_cased


class _Sorted:
    """Patterns by what they ask for; their texts are folded unless `cased`."""

    def __init__(self, *, cased: bool) -> None:
        self._cased = cased
        self.equal: list[str] = []
        self._starts: list[str] = []
        self._ends: list[str] = []
        self._contained: list[str] = []
        self._others: list[_Fits] = []

    def add(self, field: str, pattern: Pattern) -> None:
        """Take a pattern."""
        if pattern[:1] == pattern[2:] == _ANY and isinstance(pattern[1], str):  # most are
            self._contained.append(pattern[1] if self._cased else fold(pattern[1]))
            return
        parts = [part if not isinstance(part, str) or self._cased else fold(part) for part in pattern]
        literals = [part for part in parts if isinstance(part, str)]
        if ANY_CHARACTER in parts:
            # The value stands folded already, and folding it again changes nothing.
            atom = Text(field, pattern, self._cased)
            self._others.append(_definition(atom, literals))
        elif not parts:
            self.equal.append("")
        elif parts == literals:
            self.equal.append("".join(literals))
        elif not literals:
            self._contained.append("")
        elif len(literals) == 1 and len(parts) == 1 + (parts[0] == ANY_TEXT) + (parts[-1] == ANY_TEXT):
            self._add_one(literals[0], open_start=parts[0] == ANY_TEXT, open_end=parts[-1] == ANY_TEXT)
        else:
            start = "" if parts[0] == ANY_TEXT else literals.pop(0)
            end = "" if parts[-1] == ANY_TEXT else literals.pop()
            self._others.append(_in_order(start, literals, end))

    def _add_one(self, literal: str, *, open_start: bool, open_end: bool) -> None:
        if open_start and open_end:
            self._contained.append(literal)
        else:
            (self._ends if open_start else self._starts).append(literal)

    def functions(self) -> list[_Fits]:
        """Return the functions of a value, the quick ones first."""
        found: list[_Fits] = []
        if self.equal:
            found.append(frozenset(self.equal).__contains__)
        if self._starts:
            starts = tuple(self._starts)
            found.append(lambda text: text.startswith(starts))
        # Most lists of endings are names of programs and libraries: the last part of a path, looked up at once.
        names = frozenset(end for end in self._ends if end.rfind("\\") == 0)
        if names:
            found.append(lambda text: text[text.rfind("\\") :] in names)
        if ends := tuple(end for end in self._ends if end not in names):
            found.append(lambda text: text.endswith(ends))
        if len(self._contained) == 1:
            only = self._contained[0]
            found.append(lambda text: only in text)
        elif self._contained:
            found.append(_containing(self._contained))
        return found + self._others


def _containing(literals: list[str]) -> _Fits:
    in_ascii = [literal for literal in literals if literal.isascii()]

    def fits(text: str) -> bool:
        for literal in in_ascii if text.isascii() else literals:  # noqa: SIM110  a generator costs more than the search
            if literal in text:
                return True
        return False

    return fits


def _in_order(start: str, between: list[str], end: str) -> _Fits:
    """Return the function for `start*between*…*end`: the first place for each text is as good as any."""

    def fits(text: str) -> bool:
        if not text.startswith(start) or not text.endswith(end):
            return False
        at, stop = len(start), len(text) - len(end)
        for literal in between:
            at = text.find(literal, at, stop)
            if at < 0:
                return False
            at += len(literal)
        return at <= stop

    return fits


def _definition(atom: Text, literals: list[str]) -> _Fits:
    """Return the function for a pattern with `?`: by the definition, once all of its texts are there."""

    def fits(text: str) -> bool:
        return all(literal in text for literal in literals) and value_holds(atom, text)

    return fits
