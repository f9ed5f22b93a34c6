"""`python -m bench.intel`: what 100,000 indicators cost an event, beside the same rules without any.

Events are DNS queries, with one of 2,000 names or each with one of its own (nothing can be remembered). CPU time of one
process, the best of three runs; matching and hits only, no parsing.
"""

import random
import time
from collections.abc import Iterator

from secmon.content import rule_files
from secmon.model.event import Event
from secmon.model.indicator import Indicator, Kind
from secmon.sigma.hits import make_hits
from secmon.sigma.index import Engine
from secmon.sigma.intel import Indicators, indicators_of, with_intel
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules

EVENTS = 100_000
RUNS = 3


def indicators() -> list[Indicator]:
    """Return 50,000 domains, 49,000 addresses and 1,000 blocks."""
    chance = random.Random(1)  # noqa: S311  reproducible, no secret
    addresses = (".".join(str(chance.randint(1, 223)) for _ in range(4)) for _ in range(49_000))
    return [
        *(Indicator(kind=Kind.DOMAIN, value=f"x{n}.bad.example", source="s") for n in range(50_000)),
        *(Indicator(kind=Kind.IPV4, value=address, source="s") for address in addresses),
        *(Indicator(kind=Kind.IPV4, value=f"203.{n // 250}.{n % 250}.0/24", source="s") for n in range(1_000)),
    ]


def queries(names: int) -> Iterator[Event]:
    """Yield DNS queries of so many names."""
    for n in range(EVENTS):
        yield {
            "@timestamp": "2026-09-07T01:00:00.000Z",
            "event.id": f"{n:032x}",
            "event.module": "zeek",
            "event.dataset": "zeek.dns",
            "dns.question.name": f"host{n % names}.example.org",
            "source.ip": f"10.{n % 200}.{n // 256 % 256}.{n % 256}",
        }


def cost_us(ruleset: RuleSet, found: Indicators | None, names: int) -> float:
    """Return microseconds of CPU an event."""
    events = list(queries(names))
    engine = Engine(ruleset)
    engine.build()
    start = time.process_time()
    for event in events:
        if rules := engine.match(event):
            make_hits(ruleset, event, rules if found is None else found.narrowed(event, rules))
    return (time.process_time() - start) / EVENTS * 1e6


def main() -> None:
    """Print the figures."""
    ruleset = load_rules([RuleFile(*each) for each in rule_files()[0]])
    some = indicators()
    start = time.process_time()
    indicators_of(some)
    print(f"indexing {len(some)} indicators: {time.process_time() - start:.2f} s")
    for names in (2_000, EVENTS):
        without = min(cost_us(ruleset, None, names) for _ in range(RUNS))
        found = [indicators_of(some) for _ in range(RUNS)]  # each run begins with nothing remembered
        beside = min(cost_us(with_intel(ruleset, each), each, names) for each in found)
        print(f"{names} names: {without:.2f} us without, {beside:.2f} with, {beside - without:.2f} more")


if __name__ == "__main__":
    main()
