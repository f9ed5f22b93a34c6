"""One correlation document → one compiled correlation, or the reason why not, with its line.

Source: Sigma correlation rules specification 2.1. Two of its types are evaluated: event_count and value_count;
the others, and correlations over correlations, are refused on the rule.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import get_args

from sigma.correlations import SigmaCorrelationCondition, SigmaCorrelationRule
from sigma.exceptions import SigmaError

from secmon.sigma.compile import (
    CompiledRule,
    RuleError,
    custom_of,
    digest_of,
    level_of,
    one_line,
    rule_id,
    techniques_of,
)
from secmon.sigma.documents import YamlDocument
from secmon.sigma.fields import UnknownFieldError
from secmon.sigma.locate import line_of_error
from secmon.sigma.rule import CorrelationRule, CorrelationType, KeySpec, Threshold
from secmon.sigma.tree import Operator

_TYPES: Mapping[str, CorrelationType] = {name: name for name in get_args(CorrelationType)}


def compile_correlation(
    document: YamlDocument, bases: Mapping[str, CompiledRule]
) -> tuple[CorrelationRule, dict[str, KeySpec]]:
    """Compile a correlation.

    Args:
        document: its YAML.
        bases: every loaded rule under its id and under its Sigma `name`.

    Returns:
        The correlation, and for each base rule how its hits count towards it.

    Raises:
        RuleError: it is wrong, not supported, or refers to a rule that is not there.
    """
    sigma = _parsed(document)
    kind = _TYPES.get(sigma.type.name.lower())
    if kind is None:
        line, hint = document.line_of("correlation", "type"), "event_count and value_count are"
        raise RuleError(f"the correlation type {sigma.type.name.lower()} is not supported yet", line, hint=hint)
    rules = _bases(document, sigma, bases)
    custom = custom_of(document)
    group_by, values = tuple(dict.fromkeys(sigma.group_by or ())), _value_fields(sigma) if kind == "value_count" else ()
    identity = rule_id(document, sigma)
    specs = {base.rule.id: _spec(document, sigma, identity, base, values) for base in rules}
    threshold = _threshold(document, sigma)
    timespan = timedelta(seconds=sigma.timespan.seconds)
    correlation = CorrelationRule(
        id=identity,
        name=sigma.title,
        title_zh=custom.title_zh,
        level=level_of(sigma),
        path=document.path,
        line=document.line,
        digest=digest_of(
            kind,
            sorted((base.rule.id, base.rule.digest) for base in rules),
            group_by,
            timespan,
            threshold,
            values,
            sorted(specs.items()),
            custom.group_window,
        ),
        techniques=techniques_of(sigma),
        controls=custom.controls,
        type=kind,
        rule_ids=tuple(sorted(specs)),
        group_by=group_by,
        timespan=timespan,
        threshold=threshold,
        value_fields=values,
        generate=sigma.generate,
        group_window=custom.group_window,
        reason=custom.reason,
        reason_fields=custom.reason_fields,
        playbook=custom.playbook,
    )
    return correlation, specs


def _parsed(document: YamlDocument) -> SigmaCorrelationRule:
    block = document.data["correlation"]
    if not isinstance(block, dict):
        raise RuleError("`correlation` is not a mapping", document.line_of("correlation"))
    try:
        return SigmaCorrelationRule.from_dict(document.data)
    except SigmaError as error:
        raise RuleError(one_line(error), _line_of(document, error)) from error
    except Exception as error:  # pySigma meets malformed input with whatever Python raises
        problem = f"pySigma cannot read the correlation ({type(error).__name__})"
        raise RuleError(problem, document.line_of("correlation")) from error


_BLOCK_KEYS = ("type", "rules", "group-by", "timespan", "generate", "aliases", "condition")


def _line_of(document: YamlDocument, error: SigmaError) -> int:
    """Return the line of the key of the block that the message names, else what the kind of error tells."""
    message = str(error).lower()
    for key in _BLOCK_KEYS:
        if key in message and key in document.data["correlation"]:
            return document.line_of("correlation", key)
    return line_of_error(document, error)


def _bases(
    document: YamlDocument, sigma: SigmaCorrelationRule, bases: Mapping[str, CompiledRule]
) -> list[CompiledRule]:
    line = document.line_of("correlation", "rules")
    found: dict[str, CompiledRule] = {}
    for reference in sigma.rules or ():
        base = bases.get(str(reference.reference))
        if base is None:
            hint = "it is missing, broken, unroutable, or a correlation itself (chains are not supported yet)"
            raise RuleError(f"the rule {reference.reference} is not loaded", line, hint=hint)
        found[base.rule.id] = base
    if not found:
        raise RuleError("the correlation refers to no rule", line)
    return list(found.values())


def _value_fields(sigma: SigmaCorrelationRule) -> tuple[str, ...]:
    named = sigma.condition.fieldref if isinstance(sigma.condition, SigmaCorrelationCondition) else None
    return (named,) if isinstance(named, str) else tuple(map(str, named or ()))


def _threshold(document: YamlDocument, sigma: SigmaCorrelationRule) -> Threshold:
    condition, line = sigma.condition, document.line_of("correlation", "condition")
    if not isinstance(condition, SigmaCorrelationCondition):
        raise RuleError("a condition in words is not supported yet", line)
    operator = Operator(condition.op.name.lower())
    written = document.data["correlation"]["condition"][operator.value]
    # pySigma cuts "2.5" down to 2 without a word.
    if isinstance(written, bool) or str(written) != str(condition.count):
        raise RuleError("the threshold is not a whole number", line)
    return Threshold(operator, condition.count)


def _spec(
    document: YamlDocument, sigma: SigmaCorrelationRule, identity: str, base: CompiledRule, values: tuple[str, ...]
) -> KeySpec:
    """Return how hits of one base rule count towards the correlation: aliases and field names resolved."""

    def fields(name: str, key: str) -> tuple[str, ...]:
        alias = sigma.aliases.aliases.get(name)
        if alias is not None:
            names = {reference.reference: field for reference, field in alias.mapping.items()}
            field = names.get(base.rule.id) or names.get(base.reference)
            if not field:
                line = document.line_of("correlation", "aliases", name)
                raise RuleError(f"the alias {name} says nothing about the rule {base.reference or base.rule.id}", line)
            name = str(field)
        try:
            return base.field_map(name)
        except UnknownFieldError as error:
            line = document.line_of("correlation", key)
            raise RuleError(f"the field {name} is not known for the base rule's log source", line) from error

    groups = tuple((name, fields(name, "group-by")) for name in dict.fromkeys(sigma.group_by or ()))
    return KeySpec(identity, groups, tuple((name, fields(name, "condition")) for name in values))
