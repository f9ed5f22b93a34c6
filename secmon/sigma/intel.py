"""Threat intelligence at detection: hash look-ups in the events that a rule with `custom.secmon.intel` matches.

A hundred thousand indicators are no rules: they are sets. A rule says which events and fields are looked at; the value
is brought into its one form (`model.indicator`) and looked up. What is one's own (the asset register) never matches.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from sys import getsizeof

from secmon.model.cache import ENTRY_BYTES, Budget, Cache
from secmon.model.event import Event, Value, parse_time
from secmon.model.indicator import Address, Indicator, Kind, address_of, network_of, normalised
from secmon.sigma.rule import Rule, RuleSet
from secmon.sigma.values import texts_of

MAX_VALUES = 64
"""Most values of one field that are looked up."""
CACHE_BYTES = 16 << 20
_MAX_REMEMBERED_TEXT = 256

# Whether a value of a kind is one's own.
IsOwn = Callable[[Kind, str], bool]


def nothing_is_own(kind: Kind, value: str) -> bool:
    """Say of no value that it is one's own."""
    del kind, value
    return False


@dataclass(frozen=True, slots=True)
class Indicators:
    """All indicators, by value. Build it with `indicators_of`.

    Args:
        digest: 32 hex over all of them and what is one's own.
        by_value: for each kind, value → its indicators, the most trusted first.
        networks: for each kind, (length, network as a number → its indicators), longest first.
        is_own: tells what never matches.
    """

    digest: str = ""
    by_value: dict[Kind, dict[str, tuple[Indicator, ...]]] = field(default_factory=dict)
    networks: dict[Kind, tuple[tuple[int, dict[int, tuple[Indicator, ...]]], ...]] = field(default_factory=dict)
    is_own: IsOwn = nothing_is_own
    _known: Cache[tuple[Kind, str], tuple[Indicator, ...]] = field(
        default_factory=lambda: Cache(Budget(CACHE_BYTES)), init=False, compare=False
    )

    def find(self, kind: Kind, text: str) -> tuple[Indicator, ...]:
        """Return the indicators that a value is, at whatever time they count."""
        key = (kind, text)
        found = self._known.young.get(key)
        if found is None:
            found = self._known.old(key)
            if found is None:
                found = self._found(kind, text)
            if len(text) <= _MAX_REMEMBERED_TEXT:
                self._known.put(key, found, ENTRY_BYTES + getsizeof(key) + getsizeof(text) + getsizeof(found))
        return found

    def _found(self, kind: Kind, text: str) -> tuple[Indicator, ...]:
        value = normalised(kind, text)
        if value is None:
            return ()
        table = self.by_value.get(kind, {})
        found = list(table.get(value, ()))
        if kind is Kind.DOMAIN:
            labels = value.split(".")
            for start in range(1, len(labels) - 1):
                found += table.get("*." + ".".join(labels[start:]), ())
        elif kind in self.networks:
            found += self._around(kind, address_of(value))
        return tuple(found) if found and not self.is_own(kind, value) else ()

    def _around(self, kind: Kind, address: Address | None) -> list[Indicator]:
        if address is None:
            return []
        number, bits = int(address), address.max_prefixlen
        return [one for length, table in self.networks[kind] for one in table.get(number >> (bits - length), ())]

    def narrowed(self, event: Event, rules: Sequence[Rule]) -> list[Rule]:
        """Return the rules that match an event with these indicators, and write into it which ones it meets.

        Fields of ECS: `threat.indicator.*`, `threat.feed.name`; several indicators make lists.
        """
        kept: list[Rule] = []
        met: dict[Indicator, None] = {}
        at: datetime | None = None
        for rule in rules:
            if rule.intel is None:
                kept.append(rule)
                continue
            at = at or parse_time(str(event["@timestamp"]))
            found = [one for one in self._matches(rule.intel.fields, rule.intel.kinds, event) if one.holds_at(at)]
            if found:
                kept.append(rule)
                met.update(dict.fromkeys(found))
        if met:
            event.update(described(list(met)))
        return kept

    def _matches(self, fields: Iterable[str], kinds: Iterable[str], event: Event) -> Iterable[Indicator]:
        for name in fields:
            value = event.get(name)
            if value is None:
                continue
            for number, text in enumerate(texts_of(value)):
                if number == MAX_VALUES:
                    break
                for kind in kinds:
                    yield from self.find(Kind(kind), text)


def described(found: Sequence[Indicator]) -> dict[str, Value]:
    """Return what an event says of the indicators it meets."""
    most = max(found, key=lambda one: one.confidence)
    lists = {
        "threat.indicator.type": [one.kind.value for one in found],
        "threat.indicator.name": [one.value for one in found],
        "threat.indicator.description": [one.name for one in found if one.name],
        "threat.indicator.marking.tlp": [one.tlp.value for one in found if one.tlp],
        "threat.feed.name": [one.source for one in found],
    }
    said: dict[str, Value] = {"threat.indicator.confidence": most.confidence}
    for name, values in lists.items():
        distinct = list(dict.fromkeys(values))
        if distinct:
            said[name] = distinct[0] if len(distinct) == 1 else distinct[:MAX_VALUES]
    return said


def indicators_of(found: Iterable[Indicator], *, is_own: IsOwn = nothing_is_own, own_digest: str = "") -> Indicators:
    """Return indicators ready for look-up.

    Args:
        found: of all files, in order.
        is_own: tells what never matches: own domains and addresses.
        own_digest: digest of what that rests on.
    """
    by_value: dict[Kind, dict[str, list[Indicator]]] = {}
    networks: dict[Kind, dict[int, dict[int, list[Indicator]]]] = {}
    sha = hashlib.sha256(own_digest.encode())
    for one in sorted(found, key=lambda each: (each.kind, each.value, -each.confidence, repr(each))):
        sha.update(repr(one).encode("utf-8", "surrogatepass"))
        network = network_of(one.value) if "/" in one.value and one.kind in {Kind.IPV4, Kind.IPV6} else None
        if network is not None:
            number = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            tables = networks.setdefault(one.kind, {})
            tables.setdefault(network.prefixlen, {}).setdefault(number, []).append(one)
        else:
            by_value.setdefault(one.kind, {}).setdefault(one.value, []).append(one)
    return Indicators(
        sha.hexdigest()[:32],
        {kind: {value: tuple(each) for value, each in table.items()} for kind, table in by_value.items()},
        {
            kind: tuple(
                (length, {number: tuple(each) for number, each in table.items()})
                for length, table in sorted(tables.items(), reverse=True)
            )
            for kind, tables in networks.items()
        },
        is_own,
    )


def with_intel(ruleset: RuleSet, indicators: Indicators) -> RuleSet:
    """Return a rule set whose rules over threat intelligence run too; its digest covers the indicators."""
    rules = tuple(sorted((*ruleset.rules, *ruleset.intel_rules), key=lambda rule: rule.id))
    digest = hashlib.sha256(f"{ruleset.digest}\x1e{indicators.digest}".encode()).hexdigest()[:32]
    return replace(ruleset, rules=rules, intel_rules=(), digest=digest)
