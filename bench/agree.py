"""Does the engine agree with its definition on every event? Takes a core for as long as it takes.

    SECMON_CORPORA=… SECMON_PUBLIC_RULES=… python bench/agree.py [--part K/N]

Every event of the Windows corpus is matched by `sigma.index.Engine` and by `sigma.match`; each difference is printed
and the exit status is 1 if there is one. Which rules an event's log source admits is asked once per distinct
combination of the fields that routes look at; a condition is evaluated node by node, once for each distinct combination
of the values it looks at (rules with keywords: on every event).
"""

import argparse
import os
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from bench.detect import parse, read_frames, read_rules
from secmon.model.event import Event
from secmon.sigma.index import Engine
from secmon.sigma.match import accepts, holds
from secmon.sigma.routing import route
from secmon.sigma.rule import Rule
from secmon.sigma.tree import Keyword, KeywordRegex, atoms_of


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--part", default="1/1", help="which part of the corpus: K/N")
    part, _, parts = options.parse_args().part.partition("/")
    ruleset = read_rules(Path(os.environ["SECMON_PUBLIC_RULES"]), "rules*/**/*.yml")
    frames = read_frames(Path(os.environ["SECMON_CORPORA"]) / "windows" / "otrf-97k.jsonl.zst")
    events = parse(frames[int(part) - 1 :: int(parts)])
    engine = Engine(ruleset)
    routes = {rule.logsource: route(rule.logsource) for rule in ruleset.rules}
    names = sorted({name for found in routes.values() if found for name in found.fields})
    admitted: dict[tuple[str, ...], list[Rule]] = {}
    decide = Decisions(ruleset.rules)
    differences, hits, started = 0, 0, time.monotonic()
    for number, event in enumerate(events, start=1):
        expected = decide(_admitted(ruleset.rules, names, event, admitted), event)
        expected.sort(key=lambda rule: rule.id)
        hits += len(expected)
        if engine.match(event) != expected:
            differences += 1
            print("differs:", event["event.original"])
        if number % 2_000 == 0:
            print(
                f"{number:,} of {len(events):,} events, {hits:,} hits, {differences} differences, "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )
    print(f"{len(events):,} events, {len(ruleset.rules):,} rules, {hits:,} hits, {differences} differences")
    return 1 if differences else 0


class Decisions:
    """Evaluates conditions by the definition, each once for the same values of the fields it looks at."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._keywords = frozenset(rule.id for rule in rules if _has_keywords(rule))
        self._by_fields: dict[tuple[str, ...], list[Rule]] = {}
        for rule in rules:
            if rule.id not in self._keywords:
                self._by_fields.setdefault(rule.fields, []).append(rule)
        self._known: dict[tuple[tuple[str, ...], tuple[str, ...]], frozenset[str]] = {}

    def __call__(self, rules: Sequence[Rule], event: Event) -> list[Rule]:
        """Return which of these rules' conditions hold."""
        values = {name: f"{type(value).__name__} {value!r}" for name, value in event.items()}
        satisfied: set[str] = set()
        for fields in {rule.fields for rule in rules if rule.id not in self._keywords}:
            satisfied |= self._satisfied(fields, tuple(values.get(name, "") for name in fields), event)
        return [rule for rule in rules if self._holds(rule, satisfied, event)]

    def _holds(self, rule: Rule, satisfied: Collection[str], event: Event) -> bool:
        return holds(rule.tree, event) if rule.id in self._keywords else rule.id in satisfied

    def _satisfied(self, fields: tuple[str, ...], values: tuple[str, ...], event: Event) -> frozenset[str]:
        """Return the ids of all rules that look at these fields and hold with these values."""
        key = fields, values
        if key not in self._known:
            rules = self._by_fields[fields]
            self._known[key] = frozenset(rule.id for rule in rules if holds(rule.tree, event))
        return self._known[key]


def _has_keywords(rule: Rule) -> bool:
    return any(isinstance(atom, Keyword | KeywordRegex) for atom in atoms_of(rule.tree))


def _admitted(
    rules: tuple[Rule, ...], names: list[str], event: Event, known: dict[tuple[str, ...], list[Rule]]
) -> list[Rule]:
    key = tuple(str(event.get(name)) for name in names)
    if key not in known:
        known[key] = [rule for rule in rules if accepts(rule.logsource, event)]
    return known[key]


if __name__ == "__main__":
    sys.exit(main())
