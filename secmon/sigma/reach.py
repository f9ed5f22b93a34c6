"""Which log sources events of a kind of source can be of, whatever stands in them; and which rules can hold at all.

A rule that no configured source reaches, or that looks for fields which nobody sends, never fires: it is told, never
silent.
"""

from collections.abc import Collection, Container, Mapping
from functools import lru_cache

from secmon.sigma.match import holds
from secmon.sigma.routing import route
from secmon.sigma.rule import CorrelationRule, LogSource, Rule, RuleSet
from secmon.sigma.source_shapes import Alternative
from secmon.sigma.tree import And, Atom, FieldReference, Keyword, KeywordRegex, Node, Not, Or, fields_of

_ANY: frozenset[str] = frozenset()
"""Any value."""


def _named(*names: str) -> frozenset[str]:
    return frozenset(names)


_WINDOWS: Alternative = {
    "event.category": _ANY,
    "event.code": _ANY,
    "event.dataset": _named("windows."),
    "event.module": _named("windows", "sysmon"),
    "event.type": _ANY,
    "dns.question.name": _ANY,
    "process.name": _ANY,
    "winlog.channel": _ANY,
    "winlog.provider_name": _ANY,
}

# Kind of source → the fields that routes look at, of those that its parser sets, with the values they may have; one
# that ends in a dot stands for all that begin with it.
# A kind that is missing here passes on what others wrote: any field may stand in it.
_SENDS: Mapping[str, Alternative] = {
    "nginx.access": {
        "event.category": _named("web"),
        "event.dataset": _named("nginx.access"),
        "event.module": _named("nginx"),
        "event.type": _ANY,
    },
    "apache.access": {
        "event.category": _named("web"),
        "event.dataset": _named("apache.access"),
        "event.module": _named("apache"),
        "event.type": _ANY,
    },
    "cas.audit": {
        "event.category": _ANY,
        "event.dataset": _named("cas.audit"),
        "event.module": _named("cas"),
        "event.type": _ANY,
    },
    "syslog": {
        "event.category": _ANY,
        "event.dataset": _named("syslog", "sshd", "sudo", "su"),
        "event.module": _ANY,
        "event.type": _ANY,
        "process.name": _ANY,
    },
    "suricata.eve": {
        "event.category": _ANY,
        "event.dataset": _named("suricata.eve"),
        "event.module": _named("suricata"),
        "event.type": _ANY,
        "dns.question.name": _ANY,
    },
    "windows.json": _WINDOWS,
    "windows.evtx": _WINDOWS,
}


@lru_cache(maxsize=4096)
def can_reach(kind: str, source: LogSource) -> bool:
    """Tell whether some event of a kind of source could be of a log source. False is sure, True is not."""
    found = route(source)
    if found is None:
        return False
    sends = _SENDS.get(kind)
    if sends is None:
        return True
    return all(any(_may_fit(option, sends) for option in options) for options in found.requirements)


def firing(ruleset: RuleSet, kinds: Collection[str]) -> frozenset[str]:
    """Return the ids of the rules, correlations too, that can fire where there are sources of some kinds.

    What is missing there is sure not to fire. A correlation that counts needs one of its rules, one of an order all.
    """
    events = {rule.id for rule in ruleset.rules if any(can_reach(kind, rule.logsource) for kind in kinds)}
    return frozenset(rule.id for rule in ruleset.by_id.values() if can_fire(rule, events))


def can_fire(rule: Rule | CorrelationRule, events: Collection[str]) -> bool:
    """Tell whether a rule can fire where these rules over single events can."""
    if isinstance(rule, Rule):
        return rule.id in events
    if rule.type in {"temporal", "temporal_ordered"} and not rule.expression and not rule.inner:
        return rule.event_rule_ids.issubset(events)
    return not rule.event_rule_ids.isdisjoint(events)


def _may_fit(option: Alternative, sends: Alternative) -> bool:
    for name, accepted in option.items():
        if name not in sends:
            return False
        if accepted and sends[name] and not any(_may_send(value, sends[name]) for value in accepted):
            return False
    return True


def _may_send(value: str, sent: frozenset[str]) -> bool:
    return value in sent or any(one.endswith(".") and value.startswith(one) for one in sent)


def can_hold(tree: Node, present: Container[str]) -> bool:
    """Tell whether a condition could hold for an event that has no field besides these. False is sure."""
    return _possible(tree, present)[0]


def _possible(node: Node, present: Container[str]) -> tuple[bool, bool]:
    """Return whether a node can be true, and whether it can be false."""
    if isinstance(node, Not):
        true, false = _possible(node.node, present)
        return false, true
    if isinstance(node, And | Or):
        found = [_possible(child, present) for child in node.nodes]
        if isinstance(node, And):
            return all(true for true, _ in found), any(false for _, false in found)
        return any(true for true, _ in found), all(false for _, false in found)
    if _is_open(node, present):
        return True, True
    value = holds(node, {})  # what it looks at is in no event: the definition says what that means
    return value, not value


def _is_open(atom: Atom, present: Container[str]) -> bool:
    if isinstance(atom, Keyword | KeywordRegex):
        return True
    if isinstance(atom, FieldReference):
        return atom.field in present and atom.other in present
    return atom.field in present


def wanted_fields(tree: Node, present: Collection[str]) -> tuple[str, ...]:
    """Return the fields of which one more would be needed for a condition to hold, sorted; empty if it can hold."""
    if can_hold(tree, present):
        return ()
    return tuple(sorted(_missing(tree, present)))


def _missing(node: Node, present: Collection[str]) -> set[str]:
    """Return the absent fields that keep a node from being true."""
    if _possible(node, present)[0]:
        return set()
    if isinstance(node, And | Or):
        return set().union(*(_missing(child, present) for child in node.nodes))
    return set(fields_of(node)).difference(present)
