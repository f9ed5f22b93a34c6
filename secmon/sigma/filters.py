"""Sigma filters: one document that narrows many rules.

Source: Sigma filters specification 2.0. A filter applies to the rules it names, or to `any`, whose log source lies
within its own. As in pySigma its condition is joined to the rule's by "and", as it stands: what shall be left out is
written `not selection`. Fields mean what they mean in the rule; correlations are narrowed through their base rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from secmon.sigma.compile import CompiledRule, RuleError, Settings, compile_rule, digest_of
from secmon.sigma.conditions import joined
from secmon.sigma.documents import YamlDocument
from secmon.sigma.limits import RULE, ExcessError
from secmon.sigma.rule import Rule
from secmon.sigma.tree import And, Node, fields_of
from secmon.sigma.weighing import weight_of

ANY = "any"
_LOG_SOURCE = ("product", "category", "service")


@dataclass(slots=True)
class Filter:
    """A filter that is applied to one rule after the other.

    Args:
        document: its YAML.
        settings: what rules are compiled with.
        rules: references to the rules it is for, as the keys; empty for any.
    """

    document: YamlDocument
    settings: Settings
    rules: Mapping[str, None] = field(default_factory=dict)
    _nodes: dict[tuple[tuple[str, str], ...], Node] = field(default_factory=dict)

    def is_for(self, compiled: CompiledRule) -> bool:
        """Tell whether the filter applies to a rule."""
        if self.rules and compiled.rule.id not in self.rules and compiled.reference not in self.rules:
            return False
        source = self.document.data["logsource"]
        return all(not source.get(key) or _same(source[key], compiled.written.get(key)) for key in _LOG_SOURCE)

    def narrowed(self, compiled: CompiledRule) -> CompiledRule:
        """Return a rule with the filter's condition joined to its own.

        Raises:
            RuleError: the filter does not fit the rule.
        """
        tree = joined(And, (compiled.rule.tree, self.node_for(compiled)))
        if tree is None:
            return compiled
        weight = weight_of(tree)
        try:
            weight.check(RULE)
        except ExcessError as error:
            line, hint = self.document.line_of("filter", "rules"), "one of its rules is too large for the filter"
            raise RuleError(str(error), line, hint=hint) from error
        return replace(compiled, rule=_with_tree(compiled.rule, tree), weight=weight)

    def node_for(self, compiled: CompiledRule) -> Node:
        """Return the filter's condition as it reads for a rule: fields mean what they mean there.

        Raises:
            RuleError: the filter does not fit the rule.
        """
        key = tuple(sorted((name, str(value)) for name, value in compiled.written.items()))
        if key not in self._nodes:
            self._nodes[key] = compile_rule(self._as_rule(compiled.written), self.settings).rule.tree
        return self._nodes[key]

    def _as_rule(self, logsource: Mapping[str, Any]) -> YamlDocument:
        """Return the filter as if it were a rule of this log source: one compiler for both."""
        data, lines = self.document.data, dict(self.document.lines)
        detection = {name: value for name, value in data["filter"].items() if name != "rules"}
        for path, line in self.document.lines.items():
            if path[0] == "filter":
                lines["detection", *path[1:]] = line
        head = {key: data[key] for key in ("title", "id", "taxonomy") if key in data}
        rule = {"title": "Filter", **head, "logsource": dict(logsource), "detection": detection}
        return YamlDocument(self.document.path, self.document.line, rule, lines)


def read_filter(document: YamlDocument, settings: Settings) -> Filter:
    """Read a filter.

    Raises:
        RuleError: it lacks a log source, its rules, or its condition.
    """
    block, source = document.data["filter"], document.data.get("logsource")
    if not isinstance(block, dict):
        raise RuleError("`filter` is not a mapping", document.line_of("filter"))
    if not isinstance(source, dict):
        raise RuleError("a filter needs a log source", document.line_of("logsource"))
    if not isinstance(block.get("condition"), str):
        raise RuleError("a filter has one condition, a text", document.line_of("filter", "condition"))
    return Filter(document, settings, dict.fromkeys(references_in(document, "filter")))


def references_in(document: YamlDocument, kind: str) -> tuple[str, ...]:
    """Return what the key `rules` of a block refers to, ids or names; empty for any.

    Raises:
        RuleError: it refers to nothing.
    """
    rules = document.data[kind].get("rules")
    named = [rules] if isinstance(rules, str) else rules
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        hint = "`any`, an id or a name, or a list of them"
        raise RuleError("it does not say which rules it is for", document.line_of(kind, "rules"), hint=hint)
    return () if [each.lower() for each in named] in ([ANY], []) else tuple(dict.fromkeys(named))


def _same(one: object, other: object) -> bool:
    return str(one).strip().lower() == str(other or "").strip().lower()


def _with_tree(rule: Rule, tree: Node) -> Rule:
    return replace(rule, tree=tree, fields=fields_of(tree), digest=digest_of("filtered", rule.digest, tree))
