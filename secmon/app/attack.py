"""ATT&CK coverage: which techniques the rules in force look for, and with which of them something can be found here.

A rule can fire if a source may send events of its log source (`sigma.reach`). Only the ids that the tags of our rules
carry are used; names and descriptions of ATT&CK are not copied (NOTICE).

Format: ATT&CK Navigator Layer File Format 4.5, layers/spec/v4.5/layerformat.md of mitre-attack/attack-navigator.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from secmon.sigma.reach import firing
from secmon.sigma.rule import TACTICS, CorrelationRule, Rule, RuleSet

AnyRule = Rule | CorrelationRule
LAYER: Final = "4.5"
NAVIGATOR: Final = "5.1.0"
_COLOURS: Final = ("#e0eeec", "#0a5d57")
_IDLE: Final = "#d9d9d9"
_DISABLED: Final = "#a6a6a6"
_MAX_COMMENT: Final = 40


@dataclass(frozen=True, slots=True)
class Covered:
    """A technique that rules look for.

    Args:
        technique: its id, such as "T1110.003".
        tactics: tactics that its rules name for it (`_placed`), in ATT&CK's order.
        firing: rules that can fire with the configured sources, by id.
        idle: rules that cannot, or are disabled everywhere.
        disabled: ids of the disabled ones among them.
    """

    technique: str
    tactics: tuple[str, ...]
    firing: tuple[AnyRule, ...]
    idle: tuple[AnyRule, ...]
    disabled: frozenset[str] = frozenset()

    def row(self) -> dict[str, Any]:
        """Return it as the console's data."""
        return {
            "threat.technique.id": self.technique,
            "threat.tactic.name": list(self.tactics),
            "score": len(self.firing),
            "rules": [rule.id for rule in self.firing],
            "rules_idle": [rule.id for rule in self.idle],
            "rules_disabled": sorted(self.disabled),
        }


def disabled_rules(ruleset: RuleSet, at: datetime) -> dict[str, str]:
    """Return id of each rule that is disabled everywhere at a moment → what disables it."""
    found = (one for one in ruleset.suppressions if one.kind == "disabled" and one.lasts(at))
    return {rule_id: one.id for one in found if not one.units and not one.assets for rule_id in one.rule_ids}


def coverage(ruleset: RuleSet, kinds: Iterable[str], *, at: datetime) -> list[Covered]:
    """Return every technique that a rule in force names, by id.

    Args:
        ruleset: the rules.
        kinds: kinds of the sources that there are.
        at: when it is asked, for what is disabled then.
    """
    can = firing(ruleset, frozenset(kinds))
    found: dict[str, list[AnyRule]] = {}
    for rule in ruleset.by_id.values():
        if rule.generates:
            for technique in rule.techniques:
                found.setdefault(technique, []).append(rule)
    disabled = frozenset(disabled_rules(ruleset, at))
    placed = _placed(rule for rule in ruleset.by_id.values() if rule.generates)
    return [
        _covered(technique, found[technique], can, disabled, placed.get(technique, frozenset()))
        for technique in sorted(found)
    ]


def _covered(
    technique: str, rules: list[AnyRule], able: frozenset[str], disabled: frozenset[str], named: frozenset[str]
) -> Covered:
    can = [rule for rule in rules if rule.id in able - disabled]
    return Covered(
        technique,
        tuple(tactic for tactic in TACTICS if tactic in named),
        tuple(sorted(can, key=_id_of)),
        tuple(sorted((rule for rule in rules if rule not in can), key=_id_of)),
        disabled.intersection(rule.id for rule in rules),
    )


def _placed(rules: Iterable[AnyRule]) -> dict[str, frozenset[str]]:
    """Return technique → tactics as far as tags tell: a rule of several tactics does not say which is whose.

    Rules with one tactic decide. If one technique of a rule is still open, it has the tactics for which no other
    technique of the rule accounts. What stays open has the tactics that all its rules share, else all of them.
    """
    named = [(rule.techniques, frozenset(rule.tactics)) for rule in rules if rule.tactics]
    found: dict[str, frozenset[str]] = {}
    for techniques, tactics in named:
        for technique in techniques if len(tactics) == 1 else ():
            found[technique] = found.get(technique, frozenset()) | tactics
    while more := {name: left for name, left in _open(named, found).items() if len(left) == 1}:
        found |= more
    return _open(named, found) | found


def _open(
    named: Iterable[tuple[Iterable[str], frozenset[str]]], found: Mapping[str, frozenset[str]]
) -> dict[str, frozenset[str]]:
    """Return the techniques that are not decided, with the tactics that they may have."""
    left: dict[str, list[frozenset[str]]] = {}
    for techniques, tactics in named:
        told = frozenset().union(*(found.get(technique, frozenset()) for technique in techniques))
        unknown = [technique for technique in techniques if technique not in found]
        for technique in unknown:
            left.setdefault(technique, []).append(tactics - told or tactics if len(unknown) == 1 else tactics)
    return {name: frozenset.intersection(*each) or frozenset().union(*each) for name, each in left.items()}


def _id_of(rule: AnyRule) -> str:
    return rule.id


def layer(covered: Iterable[Covered], *, name: str, description: str) -> dict[str, Any]:
    """Return a layer for the ATT&CK Navigator: score = rules that can fire; grey where there are rules but none can."""
    rows = list(covered)
    most = max((len(row.firing) for row in rows), default=0)
    return {
        "name": name,
        "versions": {"navigator": NAVIGATOR, "layer": LAYER},
        "domain": "enterprise-attack",
        "description": description,
        "sorting": 3,
        "layout": {"layout": "side", "showID": True, "showName": True, "expandedSubtechniques": "annotated"},
        "hideDisabled": False,
        "techniques": [_technique(row) for row in rows],
        "gradient": {"colors": list(_COLOURS), "minValue": 0, "maxValue": max(most, 1)},
        "legendItems": [
            {"label": "启用且有日志来源的规则：越深越多", "color": _COLOURS[-1]},
            {"label": "有规则，但没有能触发它的日志来源", "color": _IDLE},
            {"label": "有规则，但都已停用", "color": _DISABLED},
        ],
    }


def _technique(row: Covered) -> dict[str, Any]:
    told = [f"{_title(rule)} [{rule.level.value}]" for rule in row.firing]
    told += [f"{_title(rule)} [{'已停用' if rule.id in row.disabled else '没有日志来源'}]" for rule in row.idle]
    more = [f"…另有 {len(told) - _MAX_COMMENT} 条规则"] if len(told) > _MAX_COMMENT else []
    found: dict[str, Any] = {
        "techniqueID": row.technique,
        "score": len(row.firing),
        "comment": "\n".join([*told[:_MAX_COMMENT], *more]),
        "enabled": True,
        "showSubtechniques": False,
        "metadata": [
            {"name": "能触发的规则", "value": str(len(row.firing))},
            {"name": "没有日志来源的规则", "value": str(len(row.idle) - len(row.disabled))},
            {"name": "已停用的规则", "value": str(len(row.disabled))},
        ],
    }
    if row.firing:
        return found
    return found | {"color": _DISABLED if len(row.disabled) == len(row.idle) else _IDLE}


def _title(rule: AnyRule) -> str:
    return rule.title_zh or rule.name
