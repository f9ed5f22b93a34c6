"""From matched rules to hits: what the store keeps of a match, small and complete for alerts and correlations.

A hit carries the alert it belongs to, the correlation keys it counts towards, and the few values of the (masked)
event that correlations and reasons need; nothing else of the event is copied.
"""

import hashlib
from collections.abc import Iterable

from secmon.model.event import Event, Value, parse_time
from secmon.model.hit import Hit
from secmon.model.ids import alert_id, key_id, window_start
from secmon.sigma.match import has_value
from secmon.sigma.rule import Rule, RuleSet
from secmon.sigma.values import texts_of, utf8

# A longer value is kept as its head and a digest of the whole: still distinct from any other, but small.
MAX_CAPTURED = 256
_HEAD = 200
MORE = "…"
# A list that is longer, or has more characters in all, is kept as one text in the same way.
MAX_LIST, MAX_LIST_CHARS = 16, 1_024


def make_hits(ruleset: RuleSet, event: Event, rules: Iterable[Rule]) -> list[Hit]:
    """Return one hit for each rule that matched an event.

    Args:
        ruleset: the rules that were matched; their correlations decide which keys a hit carries.
        event: the event as the store will hold it, with `@timestamp` and `event.id`.
        rules: the rules it satisfies, as `Engine.match` gives them.
    """
    del ruleset  # what its correlations need was put into the rules when they were loaded
    at = parse_time(str(event["@timestamp"]))
    event_id = str(event["event.id"])
    unit_id, asset_id = event.get("unit.id"), event.get("asset.id")
    hits = []
    for rule in rules:
        if rule.intel is not None and "threat.indicator.name" not in event:
            continue  # nobody compared it with indicators (`intel.Indicators`), or it met none
        group = {name: captured(event[name]) for name in rule.group_by if has_value(event, name)}
        values = _captured(rule, event)
        hits.append(
            Hit(
                event_id=event_id,
                rule_id=rule.id,
                rule_digest=rule.digest,
                level=rule.level,
                at=at,
                alert_id=alert_id(rule.id, group, window_start(at, rule.group_window)) if rule.generates else None,
                group=group,
                keys=_keys(rule, values),
                captured=values,
                signature=_signature(rule, event),
                unit_id=None if unit_id is None else str(unit_id),
                asset_id=None if asset_id is None else str(asset_id),
            )
        )
    return hits


def captured(value: Value) -> Value:
    """Return a value as hits keep it: bounded in size, still telling any two values apart."""
    if isinstance(value, list):
        if len(value) == 1:
            return captured(value[0])
        texts = list(texts_of(value))
        if len(value) > MAX_LIST or sum(map(len, texts)) > MAX_LIST_CHARS:
            return _bounded("\x1f".join(texts))
        return [_bounded(text) for text in texts]
    return _bounded(value) if isinstance(value, str) else value


def _bounded(text: str) -> str:
    if len(text) > MAX_CAPTURED:
        text = f"{text[:_HEAD]}{MORE}{hashlib.sha256(utf8(text)).hexdigest()[:16]}"
    if not text.isascii():  # a lone surrogate out of a JSON escape could not be stored
        text = text.encode("utf-8", "backslashreplace").decode()
    return text


def _captured(rule: Rule, event: Event) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, fields in rule.captures:
        for field in fields:
            if has_value(event, field):
                values[name] = captured(event[field])
                break
    for name in rule.reason_fields:
        if name not in values and has_value(event, name):
            values[name] = captured(event[name])
    return values


def _keys(rule: Rule, values: dict[str, Value]) -> tuple[str, ...]:
    """Return the keys of the correlations whose group-by fields the event has; without them it is in no group."""
    return tuple(
        key_id(spec.correlation_id, {name: values[name] for name, _ in spec.group})
        for spec in rule.keys
        if all(name in values for name, _ in spec.group)
    )


def _signature(rule: Rule, event: Event) -> str:
    """Return 16 hex over the values of the fields that the rule looked at."""
    sha = hashlib.sha256()
    for field in rule.fields:
        for text in texts_of(event.get(field)):
            sha.update(utf8(f"{field}\x1f{text}\x1e"))
    return sha.hexdigest()[:16]
