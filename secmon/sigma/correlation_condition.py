"""The condition of a correlation: a threshold, a range, or words; what can never hold is refused.

Source: Sigma correlation rules specification 2.1, "Condition".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from secmon.sigma.compile import RuleError
from secmon.sigma.condition_text import Condition, ConditionError, Junction, Name, Negation, names_in, parse_condition
from secmon.sigma.documents import YamlDocument
from secmon.sigma.rule import AND, COUNTING, NOT, OR, CorrelationType, Threshold
from secmon.sigma.tree import Operator
from secmon.sigma.written import as_number

_OPERATORS = tuple(operator.value for operator in Operator)
_TEMPORAL = frozenset({"temporal", "temporal_ordered"})
_TOP = 100


@dataclass(frozen=True, slots=True)
class Terms:
    """What a condition says.

    Args:
        references: the rules, as the document names them, in order; of an order a rule may come twice.
        threshold: the comparison; of a condition in words that at least one rule has been seen.
        fields: the fields it counts or calculates with.
        percentile: which one.
        expression: a condition in words, in postfix notation over the references.
    """

    references: tuple[str, ...]
    threshold: Threshold
    fields: tuple[str, ...] = ()
    percentile: float | None = None
    expression: tuple[str, ...] = ()


def read_terms(
    document: YamlDocument, kind: CorrelationType, references: Sequence[str], *, counts_nothing: bool = False
) -> Terms:
    """Read the condition of a correlation of some type over some rules.

    Args:
        document: its YAML.
        kind: its type.
        references: the rules.
        counts_nothing: it is evaluated where no event is, too.

    Raises:
        RuleError: it is wrong, does not fit the type, or can never hold.
    """
    condition = document.data["correlation"].get("condition")
    if isinstance(condition, str):
        return _Reader(document, kind, counts_nothing).words(condition, references)
    names = tuple(references) if kind == "temporal_ordered" else tuple(dict.fromkeys(references))
    if condition is None and kind in _TEMPORAL:
        return Terms(names, Threshold(Operator.GTE, max(1, len(names))))
    return _Reader(document, kind, counts_nothing).mapping(condition, names)


@dataclass(frozen=True, slots=True)
class _Reader:
    document: YamlDocument
    kind: CorrelationType
    counts_nothing: bool

    def line(self, key: str = "") -> int:
        return self.document.line_of("correlation", "condition", key)

    def mapping(self, condition: Any, references: tuple[str, ...]) -> Terms:
        if not isinstance(condition, dict):
            raise RuleError("the correlation has no condition", self.line(), hint="such as {gte: 10}")
        for key in condition:
            if key not in {*_OPERATORS, "field", "percentile"}:
                raise RuleError(f"unknown key {key} of the condition", self.line(key))
        threshold = self.threshold(condition)
        self.refuse_never(threshold, len(references) if self.kind in _TEMPORAL else None)
        return Terms(references, threshold, self.fields(condition), self.percentile(condition))

    def threshold(self, condition: dict[str, Any]) -> Threshold:
        """Return the comparison; two of them are a range."""
        written = [(name, condition[name]) for name in _OPERATORS if name in condition]
        if not 0 < len(written) <= 2:  # noqa: PLR2004  the two ends of a range
            raise RuleError(
                "the condition has one operator, or two for a range",
                self.line(),
                hint="known: " + ", ".join(_OPERATORS),
            )
        result: Threshold | None = None
        for name, value in reversed(written):
            number = as_number(value)
            if number is None:
                raise RuleError("the threshold is not a number", self.line(name))
            if self.kind in COUNTING and not isinstance(number, int):
                raise RuleError("the threshold is not a whole number", self.line(name))
            result = Threshold(Operator(name), number, result)
        if result is None:
            raise RuleError("the condition has no operator", self.line())
        return result

    def refuse_never(self, threshold: Threshold, most: int | None) -> None:
        """Refuse a condition that no number fulfils; where something is counted, one event at least is there."""
        if self.kind in COUNTING:
            numbers = [int(number) for number in _numbers(threshold)]
            least = 0 if self.counts_nothing else 1
            tried = {least, *(number + by for number in numbers for by in (-1, 0, 1))}
            possible = any(threshold.holds(n) for n in tried if n >= least and (most is None or n <= most))
        else:
            ends = sorted(map(Fraction, _numbers(threshold)))
            tries = (ends[0] - 1, *ends, (ends[0] + ends[-1]) / 2, ends[-1] + 1)
            possible = any(threshold.holds(each) for each in tries)
        if not possible:
            hint = "a correlation is evaluated where an event is: nothing at all is never counted"
            raise RuleError("the condition can never hold", self.line(), hint=hint)

    def fields(self, condition: dict[str, Any]) -> tuple[str, ...]:
        """Return the fields; only distinct values may be those of several."""
        written = condition.get("field")
        named = written if isinstance(written, list) else [written]
        if not self.kind.startswith("value_"):
            if written is not None:
                raise RuleError(f"a {self.kind} correlation takes no field", self.line("field"))
            return ()
        if not named or not all(isinstance(name, str) and name for name in named):
            raise RuleError(f"a {self.kind} correlation needs a field", self.line("field"))
        if len(named) > 1 and self.kind != "value_count":
            raise RuleError(f"a {self.kind} correlation takes one field", self.line("field"))
        return tuple(dict.fromkeys(named))

    def percentile(self, condition: dict[str, Any]) -> float | None:
        """Return the percentile, 0 … 100."""
        written = condition.get("percentile")
        if self.kind != "value_percentile":
            if written is not None:
                raise RuleError(f"a {self.kind} correlation takes no percentile", self.line("percentile"))
            return None
        number = as_number(written)
        if number is None or not 0 <= number <= _TOP:
            raise RuleError("the percentile is not a number from 0 to 100", self.line("percentile"))
        return number

    def words(self, condition: str, references: Sequence[str]) -> Terms:
        """Return a condition in words; without `rules` its names are the rules."""
        if self.kind not in _TEMPORAL:
            raise RuleError(f"a {self.kind} correlation takes no condition in words", self.line())
        try:
            parsed = parse_condition(condition)
        except ConditionError as error:
            raise RuleError(str(error), self.line()) from error
        names = names_in(parsed)
        postfix = tuple(self.postfix(parsed))
        if references and set(references) != set(names):
            raise RuleError("the condition and `rules` do not name the same rules", self.line())
        if self.kind == "temporal_ordered":
            if set(postfix) & {OR, NOT}:
                raise RuleError(
                    "an order knows only `and`", self.line(), hint="use temporal, or chain two correlations"
                )
            return Terms(names, Threshold(Operator.GTE, len(names)))
        return Terms(names, Threshold(Operator.GTE, 1), expression=postfix)

    def postfix(self, condition: Condition) -> Iterator[str]:
        if isinstance(condition, Name):
            yield condition.name
        elif isinstance(condition, Negation):
            yield from self.postfix(condition.part)
            yield NOT
        elif isinstance(condition, Junction):
            for number, part in enumerate(condition.parts):
                yield from self.postfix(part)
                if number:
                    yield AND if condition.kind == "and" else OR
        else:
            raise RuleError("the condition of a correlation names its rules one by one", self.line())


def _numbers(threshold: Threshold) -> Iterator[int | float]:
    yield threshold.number
    if threshold.also is not None:
        yield from _numbers(threshold.also)
