"""A draft of an exception out of an alert: its rule and its group's values, to be completed and reviewed by people.

What a person has to answer for is left empty, so that the draft suppresses nothing as it stands.
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from secmon.app import alerts
from secmon.app.installation import Installation
from secmon.errors import SecmonError
from secmon.model.access import Access
from secmon.model.alert import Alert
from secmon.sigma.hits import MORE
from secmon.sigma.rule import CorrelationRule, LogSource, Rule

_DAYS = 90
_WILD = str.maketrans({"\\": "\\\\", "*": "\\*", "?": "\\?"})
_FIRST = uuid.UUID("6f0c3f6e-8d55-4e2b-9a53-2f5d1f6c7a10")


def draft(house: Installation, access: Access, alert_id: str) -> str:
    """Return a draft as YAML: one document for each log source of the alert's rules.

    Raises:
        NotFoundError: the alert is not there or not in scope.
        SecmonError: its rule is not in force any more.
    """
    alert = alerts.get_alert(house, access, alert_id)
    rule = house.ruleset.by_id.get(alert.rule_id)
    if rule is None:
        raise SecmonError("the rule of the alert is not in force any more", hint="there is nothing to except from")
    sources: dict[LogSource, list[Rule]] = {}
    for one in _single(house, rule):
        sources.setdefault(one.logsource, []).append(one)
    return "---\n".join(_document(house, alert, rule, source, rules) for source, rules in sources.items())


def _single(house: Installation, rule: Rule | CorrelationRule) -> list[Rule]:
    if isinstance(rule, Rule):
        return [rule]
    return [one for one in house.ruleset.rules if one.id in rule.event_rule_ids]


def _document(
    house: Installation, alert: Alert, rule: Rule | CorrelationRule, source: LogSource, rules: list[Rule]
) -> str:
    title = f"例外：{alert.rule_title_zh or alert.rule_name}"
    identity = uuid.uuid5(_FIRST, f"{alert.id}:{source}")
    expires = (house.clock.now().astimezone(house.zone) + timedelta(days=_DAYS)).date().isoformat()
    units = list(alert.content.unit_ids)
    made = f"{house.clock.now().astimezone(house.zone):%Y-%m-%d %H:%M}"
    lines = [
        f"# 由告警 {alert.id} 第 {alert.revision} 版生成（{made}）。请核对条件，填写责任人、",
        "# 批准人和理由，经复核后放入 content.rules 的目录；先运行 secmon tuning preview 查看影响。填写之前不起作用。",
        f"title: {_scalar(title)}",
        f"id: {identity}",
        "taxonomy: ecs",
        "logsource: {" + ", ".join(f"{key}: {_scalar(value)}" for key, value in _written(source).items()) + "}",
        "filter:",
        "  rules:",
        *(f"    - {_scalar(one.id)}  # {_comment(one.title_zh or one.name)}" for one in rules),
        *_selection(alert, rule, rules),
        "  condition: not selection",
        "custom:",
        "  secmon:",
        "    units: " + ("[" + ", ".join(map(_scalar, units)) + "]" if units else "any"),
        *(
            ["    assets: [" + ", ".join(map(_scalar, alert.content.asset_ids)) + "]"]
            if alert.content.asset_ids
            else []
        ),
        "    owner: ''  # 责任人",
        "    approver: ''  # 批准人，不得与责任人相同",
        "    reason: ''  # 为什么这是正常业务",
        f"    expires: {expires}  # 最长 366 天",
    ]
    return "\n".join(lines) + "\n"


def _written(source: LogSource) -> dict[str, str]:
    named = {"product": source.product, "category": source.category, "service": source.service}
    return {key: value for key, value in named.items() if value}


def _selection(alert: Alert, rule: Rule | CorrelationRule, rules: list[Rule]) -> Iterator[str]:
    """Yield the selection of the alert's group, by the names that fields have in events."""
    names = _names(rule, rules)
    yield "  selection:"
    said = False
    for name, value in alert.group.items():
        text = str(value)
        if isinstance(value, list) or MORE in text:
            yield f"    # {_comment(name)}: 值过长或不止一个，请自行填写"
            continue
        yield f"    {_scalar(names.get(name, name))}: {_value(value)}"
        said = True
    if not said:
        yield "    event.id: 请写明条件  # 该告警没有可用的归并字段"


def _names(rule: Rule | CorrelationRule, rules: list[Rule]) -> Mapping[str, str]:
    """Return name of a group → field of the events: a correlation may call it otherwise."""
    if isinstance(rule, Rule):
        return {}
    specs = [spec for one in rules for spec in one.keys if spec.correlation_id == rule.id]
    return {name: fields[0] for spec in specs for name, fields in spec.group if fields}


def _value(value: object) -> str:
    return _scalar(value.translate(_WILD)) if isinstance(value, str) else json.dumps(value)


def _scalar(text: str) -> str:
    """Return a text as a YAML scalar; JSON's quotes are YAML's."""
    return json.dumps(text, ensure_ascii=False)


def _comment(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def run(house: Installation, access: Access, args: dict[str, Any]) -> dict[str, str]:
    """Return the draft for `secmon tuning draft`."""
    return {"draft": draft(house, access, str(args["alert"]))}
