"""One correlation document → one compiled correlation, or the reason why not, with its line.

Source: Sigma correlation rules specification 2.1, and pySigma for what it has more: `value_median`, and conditions in
words. pySigma reads the title, the id, the tags and so on; the block `correlation` is read here, because pySigma takes
a key that it does not know for none, cuts 2.5 down to 2, and refuses a range.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, get_args

from sigma.correlations import SigmaCorrelationRule, SigmaCorrelationTimespan
from sigma.exceptions import SigmaError

from secmon.sigma.baseline import check_fit, read_baseline
from secmon.sigma.compile import (
    CompiledRule,
    RuleError,
    custom_of,
    digest_of,
    level_of,
    one_line,
    rule_id,
    tactics_of,
    techniques_of,
)
from secmon.sigma.correlation_condition import Terms, read_terms
from secmon.sigma.documents import YamlDocument
from secmon.sigma.fields import UnknownFieldError
from secmon.sigma.locate import line_of_error
from secmon.sigma.rule import Baseline, CorrelationRule, CorrelationType, KeySpec
from secmon.sigma.written import as_boolean

MAX_RULES = 100
MAX_ORDER = 32
MAX_CHAIN = 8

_TYPES: Mapping[str, CorrelationType] = {name: name for name in get_args(CorrelationType)}
_KEYS = ("type", "rules", "group-by", "timespan", "generate", "aliases", "condition")


@dataclass(frozen=True, slots=True)
class CompiledCorrelation:
    """A correlation, and what other correlations over it need to know.

    Args:
        rule: the correlation.
        reference: its Sigma `name`; "" if it has none.
        specs: id of each rule over single events that it rests on → how hits of that rule count towards it.
        leaves: these rules.
        depth: how many links its chain has: 1 over rules only.
    """

    rule: CorrelationRule
    reference: str
    specs: Mapping[str, KeySpec]
    leaves: tuple[CompiledRule, ...]
    depth: int = 1


Base = CompiledRule | CompiledCorrelation
# A reference in a document, and its line → what it refers to; raises RuleError.
Resolve = Callable[[str, int], Base]


@dataclass(slots=True)
class _Draft:
    """A correlation while it is read."""

    document: YamlDocument
    block: dict[str, Any]
    identity: str
    kind: CorrelationType
    terms: Terms
    baseline: Baseline | None = None
    bases: dict[str, Base] = field(default_factory=dict)
    by_reference: dict[str, str] = field(default_factory=dict)

    def line(self, *path: str | int) -> int:
        return self.document.line_of("correlation", *path)


def compile_correlation(document: YamlDocument, resolve: Resolve) -> CompiledCorrelation:
    """Compile a correlation.

    Args:
        document: its YAML.
        resolve: finds the rules it refers to, by id or name.

    Raises:
        RuleError: it is wrong, or refers to a rule that is not there.
    """
    block = document.data["correlation"]
    if not isinstance(block, dict):
        raise RuleError("`correlation` is not a mapping", document.line_of("correlation"))
    for key in block:
        if key not in _KEYS:
            line, hint = document.line_of("correlation", key), "known: " + ", ".join(_KEYS)
            raise RuleError(f"unknown key {key} of a correlation", line, hint=hint)
    kind = _TYPES.get(str(block.get("type")).lower())
    if kind is None:
        hint = "known: " + ", ".join(_TYPES)
        raise RuleError(
            "the correlation type is missing or unknown", document.line_of("correlation", "type"), hint=hint
        )
    references = _references(document, block)
    baseline = read_baseline(document, kind)
    terms = read_terms(document, kind, references, counts_nothing=baseline is not None)
    draft = _Draft(document, block, "", kind, terms, baseline)
    sigma = _parsed(draft)
    draft.identity = rule_id(document, sigma)
    _resolve(draft, resolve)
    return _compiled(draft, sigma)


def _references(document: YamlDocument, block: dict[str, Any]) -> list[str]:
    rules = block.get("rules", [])
    named = [rules] if isinstance(rules, str) else rules
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named) or len(named) > MAX_RULES:
        hint = f"ids or names, at most {MAX_RULES}"
        raise RuleError("`rules` is not a list of rules", document.line_of("correlation", "rules"), hint=hint)
    return named


def _parsed(draft: _Draft) -> SigmaCorrelationRule:
    """Let pySigma read what a correlation has in common with any rule; its own condition is a plain one for that."""
    block: dict[str, Any] = {key: draft.block[key] for key in _KEYS if key in draft.block}
    block |= {"condition": {"gte": 1, "field": "any"}, "rules": list(draft.terms.references)}
    if "generate" in block:
        block["generate"] = as_boolean(block["generate"])
    try:
        return SigmaCorrelationRule.from_dict({**draft.document.data, "correlation": block})
    except SigmaError as error:
        raise RuleError(one_line(error), _line_of(draft.document, error)) from error
    except Exception as error:  # pySigma meets malformed input with whatever Python raises
        problem = f"pySigma cannot read the correlation ({type(error).__name__})"
        raise RuleError(problem, draft.document.line_of("correlation")) from error


def _line_of(document: YamlDocument, error: SigmaError) -> int:
    """Return the line of the key of the block that the message names, else what the kind of error tells."""
    message = str(error).lower()
    for key in _KEYS:
        if key in message and key in document.data["correlation"]:
            return document.line_of("correlation", key)
    return line_of_error(document, error)


def _resolve(draft: _Draft, resolve: Resolve) -> None:
    if not draft.terms.references:
        raise RuleError("the correlation refers to no rule", draft.line("rules"))
    for reference in draft.terms.references:
        base = resolve(reference, draft.line("rules"))
        draft.bases[base.rule.id] = base
        draft.by_reference[reference] = base.rule.id
    if draft.kind == "temporal_ordered" and len(draft.terms.references) > MAX_ORDER:
        raise RuleError(f"an order has at most {MAX_ORDER} rules", draft.line("rules"))
    _refuse_unlike(draft)


def _refuse_unlike(draft: _Draft) -> None:
    """Refuse a chain with a baseline in it: what is unusual is no hit of a single event."""
    for base in draft.bases.values():
        if isinstance(base, CompiledCorrelation) and (draft.baseline or base.rule.baseline):
            hint = "a baseline rests on rules over single events, and nothing rests on a baseline"
            raise RuleError("a chain cannot hold a baseline", draft.line("rules"), hint=hint)


def _compiled(draft: _Draft, sigma: SigmaCorrelationRule) -> CompiledCorrelation:
    document, terms = draft.document, draft.terms
    inner = tuple(base for _, base in sorted(draft.bases.items()) if isinstance(base, CompiledCorrelation))
    depth = 1 + max((base.depth for base in inner), default=0)
    if depth > MAX_CHAIN:
        raise RuleError(f"a chain has at most {MAX_CHAIN} correlations", draft.line("rules"))
    group_by = tuple(dict.fromkeys(sigma.group_by or ()))
    specs, leaves = _specs(draft, sigma, group_by)
    custom, timespan = custom_of(document), _timespan(draft, sigma.timespan)
    if "intel" in custom.extensions:
        line, hint = document.line_of("custom", "secmon", "intel"), "write a correlation over this rule"
        raise RuleError("threat intelligence stands in a rule over single events", line, hint=hint)
    if draft.baseline is not None:
        check_fit(document, draft.baseline, draft.kind, terms.threshold, timespan)
    order = tuple(draft.by_reference[reference] for reference in terms.references)
    expression = tuple(draft.by_reference.get(item, item) for item in terms.expression)
    correlation = CorrelationRule(
        id=draft.identity,
        name=sigma.title,
        title_zh=custom.title_zh,
        level=level_of(sigma),
        path=document.path,
        line=document.line,
        digest=digest_of(
            draft.kind,
            sorted((base.rule.id, base.rule.digest) for base in draft.bases.values()),
            group_by,
            timespan,
            terms.threshold,
            terms.fields,
            sorted(specs.items()),
            custom.group_window,
            order if draft.kind == "temporal_ordered" else (),
            terms.percentile,
            expression,
            *([draft.baseline] if draft.baseline else ()),
        ),
        techniques=techniques_of(sigma),
        tactics=tactics_of(sigma),
        controls=custom.controls,
        type=draft.kind,
        rule_ids=tuple(sorted(draft.bases)),
        group_by=group_by,
        timespan=timespan,
        threshold=terms.threshold,
        value_fields=terms.fields,
        generate=sigma.generate,
        group_window=custom.group_window,
        reason=custom.reason,
        reason_fields=custom.reason_fields,
        playbook=custom.playbook,
        order=order if draft.kind == "temporal_ordered" else (),
        percentile=terms.percentile,
        expression=expression,
        inner=tuple(base.rule for base in inner),
        baseline=draft.baseline,
    )
    return CompiledCorrelation(correlation, str(sigma.name or ""), specs, leaves, depth)


def _timespan(draft: _Draft, written: SigmaCorrelationTimespan) -> timedelta:
    try:
        return timedelta(seconds=written.seconds)
    except OverflowError as error:
        raise RuleError("the timespan is longer than time", draft.line("timespan")) from error


def _leaves(base: Base) -> Iterator[tuple[CompiledRule, KeySpec | None]]:
    """Yield the rules over single events below a base, each with what its correlation made of the names, if any."""
    if isinstance(base, CompiledRule):
        yield base, None
    else:
        for leaf in base.leaves:
            yield leaf, base.specs[leaf.rule.id]


def _specs(
    draft: _Draft, sigma: SigmaCorrelationRule, group_by: tuple[str, ...]
) -> tuple[dict[str, KeySpec], tuple[CompiledRule, ...]]:
    """Return how hits of each rule over single events count towards the correlation, and these rules."""
    specs: dict[str, KeySpec] = {}
    leaves: dict[str, CompiledRule] = {}
    for base in draft.bases.values():
        for leaf, below in _leaves(base):
            names = _Names(draft, sigma, base, leaf, below)
            groups = tuple((name, names.fields(name, "group-by")) for name in group_by)
            values = tuple((name, names.fields(name, "condition")) for name in draft.terms.fields)
            spec = KeySpec(draft.identity, groups, values)
            if specs.setdefault(leaf.rule.id, spec) != spec:
                problem = f"a name means two fields of the rule {leaf.reference or leaf.rule.id}"
                raise RuleError(problem, draft.line("aliases"), hint="the rule stands in the chain twice")
            leaves[leaf.rule.id] = leaf
    return specs, tuple(leaves.values())


@dataclass(frozen=True, slots=True)
class _Names:
    """What names of a correlation are called in the events of one rule below it: aliases and field names resolved."""

    draft: _Draft
    sigma: SigmaCorrelationRule
    base: Base
    leaf: CompiledRule
    below: KeySpec | None

    def fields(self, name: str, key: str) -> tuple[str, ...]:
        """Return the event fields of a name that stands under a key of the block."""
        alias = self.sigma.aliases.aliases.get(name)
        if alias is not None:
            named = {reference.reference: field for reference, field in alias.mapping.items()}
            own = (self.base.rule.id, self.base.reference, self.leaf.rule.id, self.leaf.reference)
            written = next((named[reference] for reference in own if reference in named), None)
            if not isinstance(written, str) or not written:
                problem = f"the alias {name} says nothing about the rule {self.base.reference or self.base.rule.id}"
                raise RuleError(problem, self.draft.line("aliases", name))
            name = written
        if self.below is not None and name in dict(self.below.group):
            return dict(self.below.group)[name]
        try:
            return self.leaf.field_map(name)
        except UnknownFieldError as error:
            problem = f"the field {name} is not known for the base rule's log source"
            raise RuleError(problem, self.draft.line(key)) from error
