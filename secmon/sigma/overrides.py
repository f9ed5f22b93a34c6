"""Overrides: what an operator changes of rules that are not theirs, without touching the rules' files.

    title: 单点登录失败按来源地址归并
    override:
      rules: [<id or name>]
      level: low
      group_by: [source.ip]
      group_window: 4h
      disabled: true
    custom: {secmon: {owner: …, approver: …, reason: …, expires: …}}

An update of the rules keeps it: the override applies to whatever the rule says then. A disabled rule still runs and its
hits are kept; they are annotated until it expires (`suppression.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from secmon.model.hit import Level
from secmon.sigma.approval import Approval, read_approval
from secmon.sigma.compile import CompiledRule, RuleError, digest_of
from secmon.sigma.custom import CustomError, read_grouping
from secmon.sigma.documents import YamlDocument
from secmon.sigma.exceptions import identity_of
from secmon.sigma.filters import references_in
from secmon.sigma.suppression import Adjustment

KEYS = ("rules", "level", "group_by", "group_window", "disabled")


@dataclass(frozen=True, slots=True)
class Override:
    """An override that was read.

    Args:
        document: its YAML.
        references: ids and names of the rules it is for, as the keys; never empty.
        changes: what it says, as the rule would say it; without `rules` and `disabled`.
        disables: it disables the rules for a time.
        approval: who answers for it.
    """

    document: YamlDocument
    references: Mapping[str, None]
    changes: Mapping[str, Any]
    disables: bool
    approval: Approval

    def is_for(self, identity: str, reference: object) -> bool:
        """Tell whether it is for a rule with this id and this name."""
        return identity in self.references or (isinstance(reference, str) and reference in self.references)

    def tuned(self, compiled: CompiledRule) -> CompiledRule:
        """Return a rule over single events with the changes."""
        if not self.changes:
            return compiled
        rule = compiled.rule
        group_by, window = read_grouping(self.changes)
        rule = replace(
            rule,
            level=Level(self.changes.get("level", rule.level)),
            group_by=rule.group_by if group_by is None else group_by,
            group_window=window or rule.group_window,
        )
        rule = replace(rule, digest=digest_of("tuned", rule.digest, rule.level, rule.group_by, rule.group_window))
        return replace(compiled, rule=rule)

    def tuned_document(self, correlation: YamlDocument) -> YamlDocument:
        """Return a correlation's document with the changes: it is compiled later.

        Raises:
            RuleError: the override would change what the correlation counts.
        """
        if "group_by" in self.changes:
            line = self.document.line_of("override", "group_by")
            hint = "its group-by decides what it counts: write a correlation of your own"
            raise RuleError("the alerts of a correlation cannot be grouped otherwise", line, hint=hint)
        data = dict(correlation.data)
        if "level" in self.changes:
            data["level"] = self.changes["level"]
        if "group_window" in self.changes:
            custom = data.get("custom")
            custom = dict(custom) if isinstance(custom, dict) else {}
            block = custom.get("secmon")
            custom["secmon"] = {
                **(block if isinstance(block, dict) else {}),
                "group_window": self.changes["group_window"],
            }
            data["custom"] = custom
        return replace(correlation, data=data)


def read_override(document: YamlDocument) -> Override:
    """Read an override.

    Raises:
        RuleError: a key is unknown or wrong, it changes nothing, or nobody answers for it.
    """
    block = document.data["override"]
    if not isinstance(block, dict):
        raise RuleError("`override` is not a mapping", document.line_of("override"))
    for key in block:
        if key not in KEYS:
            line, hint = document.line_of("override", key), "known: " + ", ".join(KEYS)
            raise RuleError(f"unknown key {key} of an override", line, hint=hint)
    references = references_in(document, "override")
    if not references:
        raise RuleError("an override names its rules", document.line_of("override", "rules"), hint="ids or names")
    changes = {key: value for key, value in block.items() if key in ("level", "group_by", "group_window")}
    _check(document, changes)
    disables = block.get("disabled", False)
    if not isinstance(disables, bool):
        raise RuleError("disabled is true or false", document.line_of("override", "disabled"))
    if not changes and not disables:
        raise RuleError("the override changes nothing", document.line_of("override"), hint="known: " + ", ".join(KEYS))
    mandatory, optional = (("expires",), ("units", "assets", "starts", "zone")) if disables else ((), ())
    approval = read_approval(document, mandatory=mandatory, optional=optional)
    return Override(document, dict.fromkeys(references), changes, disables, approval)


def adjustment(found: Override, rule_ids: Iterable[str]) -> Adjustment:
    """Return what is told of an override that changes some rules.

    Raises:
        RuleError: it has no id.
    """
    changes = {key: ", ".join(each) if isinstance(each, list) else str(each) for key, each in found.changes.items()}
    return Adjustment(
        id=identity_of(found.document),
        name=str(found.document.data.get("title") or ""),
        path=found.document.path,
        line=found.document.line,
        owner=found.approval.owner,
        approver=found.approval.approver,
        reason=found.approval.reason,
        rule_ids=tuple(sorted(rule_ids)),
        changes=tuple(changes.items()),
    )


def _check(document: YamlDocument, changes: Mapping[str, Any]) -> None:
    levels = [level.value for level in Level]
    if "level" in changes and changes["level"] not in levels:
        hint = "known: " + ", ".join(levels)
        raise RuleError("the level of an override is unknown", document.line_of("override", "level"), hint=hint)
    try:
        read_grouping(changes)
    except CustomError as error:
        problem = error.problem.replace("custom.secmon", "override")
        raise RuleError(problem, document.line_of("override", *error.path), hint=error.hint) from error
