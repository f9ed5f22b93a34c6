"""From pySigma's condition tree to ours: every value type it can hold becomes atoms, or an error on the rule.

pySigma has applied the modifiers (contains, windash, base64offset …) when this runs; here fields get their names
in events, wildcards become patterns, and what cannot be evaluated exactly is refused.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TypeVar

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import (
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from secmon.sigma import regexes
from secmon.sigma.fields import FieldMap, UnknownFieldError
from secmon.sigma.limits import (
    EXPRESSION_STEPS,
    MAX_EXPANDED,
    MAX_EXPRESSION,
    MAX_PROGRAM,
    MAX_TEXT,
    MAX_WILD_TEXT,
    MAX_WILDCARDS,
    RULE,
    ExcessError,
    Weight,
)
from secmon.sigma.match import compares
from secmon.sigma.modifiers import EncodedString
from secmon.sigma.tree import (
    ANY_CHARACTER,
    ANY_TEXT,
    And,
    Cidr,
    Compare,
    Exists,
    FieldReference,
    FieldRelation,
    Keyword,
    KeywordRegex,
    Node,
    Not,
    Null,
    Operator,
    Or,
    Part,
    Pattern,
    Regex,
    Text,
    TimePart,
    Wild,
)
from secmon.sigma.values import MAX_EXACT, text_of

T = TypeVar("T")

Placeholders = Mapping[str, Sequence[str]]

_FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}


class UnsupportedError(Exception):
    """A rule cannot be evaluated exactly.

    Args:
        problem: what is in the way.
        field: the rule's name of the field it stands under, None where there is none.
        hint: what to do about it.
    """

    def __init__(self, problem: str, *, field: str | None = None, hint: str = "") -> None:
        super().__init__(problem)
        self.problem, self.field, self.hint = problem, field, hint


@dataclass(slots=True)
class Translator:
    """Translates the condition trees of one rule.

    Args:
        field_map: the rule's names of fields → names in events.
        placeholders: values for `expand`.
        weight: what was made so far.
    """

    field_map: FieldMap
    placeholders: Placeholders = field(default_factory=dict)
    weight: Weight = field(default_factory=Weight)

    def node(self, condition: object) -> Node | None:
        """Return our tree of a pySigma condition; None where pipelines dropped all of it.

        Raises:
            UnsupportedError: it holds something that cannot be evaluated exactly.
        """
        match condition:
            case None:
                return None
            case ConditionAND():
                return joined(And, (self.node(each) for each in condition.args))
            case ConditionOR():
                return joined(Or, (self.node(each) for each in condition.args))
            case ConditionNOT():
                inner = self.node(condition.args[0]) if condition.args else None
                return None if inner is None else Not(inner)
            case ConditionFieldEqualsValueExpression():
                return self.comparison(condition.field, condition.value)
            case ConditionValueExpression():
                return self.keyword(condition.value)
        raise UnsupportedError(f"the condition holds {type(condition).__name__}, which cannot be evaluated")

    def fields(self, name: str) -> tuple[str, ...]:
        """Return the event fields of one of the rule's names."""
        try:
            return self.field_map(name)
        except UnknownFieldError as error:
            raise UnsupportedError(
                f"the field {name} is not known for this log source",
                field=name,
                hint="use the ECS name with `taxonomy: ecs`, or map it with --pipeline",
            ) from error

    def comparison(self, name: str, value: SigmaType) -> Node:
        """Return the tree of one field and one value."""
        if isinstance(value, SigmaExpansion):
            return _some(self.comparison(name, each) for each in _limited(value.values, name))
        names = self.fields(name)
        if isinstance(value, SigmaNull):
            return _every(Null(each) for each in names)
        if isinstance(value, SigmaExists):
            found = _some(Exists(each) for each in names)
            return found if value.exists else Not(found)
        if isinstance(value, SigmaFieldReference):
            others = self.fields(value.field)
            return _some(FieldReference(one, other, _relation(value)) for one, other in product(names, others))
        make = self._atom(name, value, len(names))
        return _some(node for each in names for node in make(each))

    def _atom(self, name: str, value: SigmaType, times: int) -> Callable[[str], Iterable[Node]]:
        """Return what makes the atoms of a value for one event field, of which there are so many."""
        if isinstance(value, SigmaString):
            patterns, cased = list(self._patterns(value, name, times)), isinstance(value, SigmaCasedString)
            return lambda each: (Text(each, pattern, cased) for pattern in patterns)
        if isinstance(value, SigmaRegularExpression):
            found = list(self._regexes(value, name, times))
            return lambda each: (Regex(each, *one) for one in found)
        self._weigh(Weight(times), name)
        if isinstance(value, SigmaTimestampPart):
            part, number = TimePart(value.timestamp_part.name.lower()), value.number
            _refuse_never(Operator.EQ, number, part, name)
            return lambda each: (Compare(each, Operator.EQ, number, part),)
        if isinstance(value, SigmaCompareExpression):
            compared = _compared(value, name)
            return lambda each: (Compare(each, *compared),)
        if isinstance(value, SigmaCIDRExpression):
            return lambda each: (Cidr(each, str(value.network)),)
        if isinstance(value, SigmaNumber | SigmaBool):
            text = _scalar(value, name)
            return lambda each: (Text(each, (text,)),)
        raise UnsupportedError(f"values of the type {type(value).__name__} cannot be evaluated", field=name)

    def keyword(self, value: SigmaType) -> Node:
        """Return the tree of a keyword: a value without a field."""
        if isinstance(value, SigmaExpansion):
            return _some(self.keyword(each) for each in _limited(value.values, None))
        if isinstance(value, SigmaString):
            cased = isinstance(value, SigmaCasedString)
            return _some(Keyword(pattern, cased) for pattern in self._patterns(value, None))
        if isinstance(value, SigmaRegularExpression):
            return _some(KeywordRegex(*one) for one in self._regexes(value, None))
        if isinstance(value, SigmaNumber | SigmaBool) and not isinstance(value, SigmaTimestampPart):
            return Keyword((_scalar(value, None),))
        raise UnsupportedError(
            f"a keyword cannot be of the type {type(value).__name__}", hint="keywords are texts, numbers or |re"
        )

    def _weigh(self, weight: Weight, name: str | None) -> None:
        self.weight += weight
        try:
            self.weight.check(RULE)
        except ExcessError as error:
            raise UnsupportedError(str(error), field=name, hint="split the rule") from error

    def _patterns(self, value: SigmaString, name: str | None, times: int = 1) -> Iterator[Pattern]:
        for text in self._filled(value, name):
            pattern = _pattern(text)
            chars = sum(len(part) for part in pattern if isinstance(part, str))
            if chars > MAX_TEXT:
                raise UnsupportedError(f"a value is longer than {MAX_TEXT:,} characters", field=name)
            if sum(isinstance(part, Wild) for part in pattern) > MAX_WILDCARDS:
                raise UnsupportedError(f"a value has more than {MAX_WILDCARDS} wildcards", field=name)
            if ANY_CHARACTER in pattern and chars > MAX_WILD_TEXT:
                raise UnsupportedError(f"a value with `?` is longer than {MAX_WILD_TEXT} characters", field=name)
            self._weigh(Weight(times, times * chars), name)
            if isinstance(value, EncodedString) and not all(
                isinstance(each, Wild) or each.isascii() for each in pattern
            ):
                hint = "base64 or base64offset makes a text of them"
                raise UnsupportedError("the encoding gives bytes that no text of an event has", field=name, hint=hint)
            yield pattern

    def _regexes(self, value: SigmaRegularExpression, name: str | None, times: int = 1) -> Iterator[tuple[str, str]]:
        flags = "".join(sorted(_FLAGS[flag] for flag in value.flags))
        text = value.regexp if isinstance(value.regexp, SigmaString) else SigmaString.from_str(str(value.regexp))
        for filled in self._filled(text, name):
            expression = str(filled)
            if len(expression) > MAX_EXPRESSION:
                raise UnsupportedError(f"a regular expression is longer than {MAX_EXPRESSION:,} characters", field=name)
            try:
                steps = regexes.steps_of(expression, flags)
            except ValueError as error:
                raise UnsupportedError(
                    f"RE2 refuses the regular expression: {error}",
                    field=name,
                    hint="no look-around and no back references; split it into several values",
                ) from error
            if steps > MAX_PROGRAM:
                problem = f"a regular expression takes more than {MAX_PROGRAM:,} steps"
                raise UnsupportedError(problem, field=name, hint="repeat less often, such as {1,50}")
            self._weigh(Weight(times, times * len(expression), EXPRESSION_STEPS + steps), name)
            yield expression, flags

    def _filled(self, value: SigmaString, name: str | None) -> list[SigmaString]:
        """Return the value with every placeholder replaced by each of its values."""
        if not value.contains_placeholder():
            return [value]

        def fill(placeholder: Placeholder) -> Iterator[SigmaString]:
            if placeholder.name not in self.placeholders:
                raise UnsupportedError(
                    f"the placeholder %{placeholder.name}% has no values",
                    field=name,
                    hint="give its values, or leave the rule out",
                )
            return map(type(value), self.placeholders[placeholder.name])

        count = 1
        for part in value.s:
            if isinstance(part, Placeholder):
                count *= max(1, len(self.placeholders.get(part.name, ())))
        if count > MAX_EXPANDED:  # they would all be made before somebody counts them
            raise UnsupportedError("a value expands to too many values", field=name)
        return _limited(value.replace_placeholders(fill), name)


def joined(kind: type[And] | type[Or], nodes: Iterable[Node | None]) -> Node | None:
    """Return one node of this kind over some nodes: nested ones of the same kind flattened, repetitions once."""
    flat: dict[Node, None] = {}
    for node in nodes:
        if isinstance(node, kind):
            flat.update(dict.fromkeys(node.nodes))
        elif node is not None:
            flat[node] = None
    if len(flat) < 2:  # noqa: PLR2004  one needs no operator
        return next(iter(flat), None)
    return kind(tuple(flat))


def _some(nodes: Iterable[Node]) -> Node:
    return _all_there(joined(Or, nodes))


def _every(nodes: Iterable[Node]) -> Node:
    return _all_there(joined(And, nodes))


def _all_there(node: Node | None) -> Node:
    if node is None:
        raise UnsupportedError("a value stands for nothing")
    return node


def _limited(values: list[T], name: str | None) -> list[T]:
    if len(values) > MAX_EXPANDED:
        raise UnsupportedError("a value expands to too many values", field=name)
    return values


def _pattern(value: SigmaString) -> Pattern:
    parts: list[Part] = []
    for part in value.s:
        if part is SpecialChars.WILDCARD_MULTI:
            if not parts or parts[-1] != ANY_TEXT:  # "**" is "*"
                parts.append(ANY_TEXT)
        elif part is SpecialChars.WILDCARD_SINGLE:
            parts.append(ANY_CHARACTER)
        elif isinstance(part, str) and part:
            if parts and isinstance(parts[-1], str):
                parts[-1] += part
            else:
                parts.append(part)
    return tuple(parts)


def _relation(value: SigmaFieldReference) -> FieldRelation:
    if value.starts_with and value.ends_with:
        return FieldRelation.CONTAINS
    if value.starts_with:
        return FieldRelation.STARTS
    return FieldRelation.ENDS if value.ends_with else FieldRelation.EQUAL


def _compared(value: SigmaCompareExpression, name: str) -> tuple[Operator, int | float, TimePart | None]:
    part = value.number.timestamp_part.name.lower() if isinstance(value.number, SigmaTimestampPart) else None
    _scalar(value.number, name)
    operator, number = Operator(value.op.name.lower()), value.number.number
    if part is None:
        return operator, number, None
    _refuse_never(operator, number, TimePart(part), name)
    return operator, number, TimePart(part)


# What the parts of a time can be, first and last; years as `datetime` has them.
_PARTS = {
    TimePart.MINUTE: (0, 59),
    TimePart.HOUR: (0, 23),
    TimePart.DAY: (1, 31),
    TimePart.WEEK: (1, 53),
    TimePart.MONTH: (1, 12),
    TimePart.YEAR: (1, 9999),
}


def _refuse_never(operator: Operator, number: float, part: TimePart, name: str) -> None:
    """Refuse a part of a time that no time has: it would be false without a word."""
    least, most = _PARTS[part]
    if not any(compares(operator, each, number) for each in (least, most, min(max(number, least), most))):
        raise UnsupportedError(f"no time has such a {part}", field=name, hint=f"{part}: {least} to {most}")


def _scalar(value: SigmaNumber | SigmaBool, name: str | None) -> str:
    if isinstance(value, SigmaBool):
        return text_of(value.boolean)
    if isinstance(value.number, float) and abs(value.number) >= MAX_EXACT:
        raise UnsupportedError("the number is too large to be compared exactly", field=name, hint="put it in quotes")
    return text_of(value.number)
