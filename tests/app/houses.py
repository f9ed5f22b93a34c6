"""A small real installation for tests of use cases: SQLite in a temporary folder, two rules, a clock to be set."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from secmon.app.installation import Installation
from secmon.classify.classifier import Classifier
from secmon.classify.definition import load_definitions
from secmon.content import classifier_files, framework_files
from secmon.model.access import ROOT, Access, Principal, Role
from secmon.model.asset import Asset, asset_register
from secmon.model.calendar import Calendar
from secmon.model.unit import Unit, UnitKind, unit_tree
from secmon.pipeline import Stages
from secmon.sigma.index import Engine
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules
from secmon.sigma.suppressor import Suppressor
from secmon.store.sqlite.eventlog import SqliteEventLog
from secmon.store.sqlite.records import SqliteRecords
from secmon.store.vault import FileVault
from tests.contracts.backends import store_of

OPERATOR = Access(Principal("user:mori", frozenset({Role.OPERATOR, Role.COMPLIANCE, Role.BULLETIN})), ROOT)
READER = Access(Principal("user:reader", frozenset({Role.READER})), ROOT)
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

SHELL = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a001"
FAILURES = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a002"
BRUTE = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a003"

RULES = f"""
title: Shell request
id: {SHELL}
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{url.path|contains: shell}}, condition: a}}
level: high
custom: {{secmon: {{title_zh: 网页后门访问, group_by: [source.ip], reason: "{{source.ip}} 访问 {{url.path}}"}}}}
---
title: Refused request
id: {FAILURES}
name: refused
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{http.response.status_code: 401}}, condition: a}}
level: low
---
title: Many refused requests
id: {BRUTE}
taxonomy: ecs
correlation:
  type: event_count
  rules: [refused]
  group-by: [source.ip]
  timespan: 10m
  condition: {{gte: 3}}
level: medium
custom: {{secmon: {{title_zh: 多次被拒}}}}
"""

TREE = unit_tree(
    [
        Unit(id="C-1", name="某市教育局", kind=UnitKind.CITY),
        Unit(id="S-1", name="某中学", kind=UnitKind.SCHOOL, parent="C-1"),
        Unit(id="S-2", name="某小学", kind=UnitKind.SCHOOL, parent="C-1"),
    ]
)


class SetClock:
    """A clock that a test sets."""

    def __init__(self, now: datetime = NOON) -> None:
        self.moment = now

    def now(self) -> datetime:
        """Return the moment that was set."""
        return self.moment

    def monotonic_s(self) -> float:
        """Return seconds since the epoch of that moment."""
        return self.moment.timestamp()

    def pass_time(self, **by: float) -> None:
        """Let time pass: `pass_time(minutes=5)`."""
        self.moment += timedelta(**by)


@cache
def stages_of(rules: str = RULES) -> Stages:
    """Return the pure stages; compiling takes longer than a test, so each rule text is compiled once."""
    register = asset_register(
        [
            Asset(id="A-1", name="教务系统", unit="S-1", level=3, hosts=("web1",)),
            Asset(id="A-2", name="某小学缴费平台", unit="S-2", level=2, hosts=("web2",)),
        ]
    )
    ruleset = load_rules([RuleFile("test.yml", rules)])
    assert ruleset.problems == (), ruleset.problems
    definitions, errors = load_definitions(classifier_files()[0])
    assert errors == []
    classifier = Classifier(definitions, token_key=b"k" * 32, today=date(2026, 11, 21))
    return Stages(
        register=register,
        classifier=classifier,
        engine=Engine(ruleset),
        ruleset=ruleset,
        record_key=b"r" * 32,
        suppressor=Suppressor(ruleset.suppressions, TREE.subtree),
    )


@contextmanager
def opened_house(
    state: Path, clock: SetClock | None = None, *, rules: str = RULES, calendar: Calendar | None = None
) -> Iterator[Installation]:
    """Open an installation on a folder; opening it again finds what was stored."""
    state.mkdir(parents=True, exist_ok=True)
    log = SqliteEventLog(state / "events", writable=True)
    records = SqliteRecords(state / "control.db", writable=True)
    stages = stages_of(rules)
    try:
        yield Installation(
            log=log,
            records=records,
            vault=FileVault(b"v" * 32),
            clock=clock or SetClock(),
            stages=stages,
            ruleset=stages.ruleset or RuleSet(),
            tree=TREE,
            calendar=calendar or Calendar(),
            register=stages.register,
            zone=ZoneInfo("Asia/Shanghai"),
            retention_days=183,
            framework_texts=tuple(framework_files()[0]),
        )
    finally:
        records.close()
        log.close()


@contextmanager
def house_on(
    backend: str,
    state: Path,
    clock: SetClock | None = None,
    *,
    rules: str = RULES,
    calendar: Calendar | None = None,
) -> Iterator[Installation]:
    """Open an installation on one of the stores of the contract suite; opening it again finds what was stored."""
    with opened_house(state, clock, rules=rules, calendar=calendar) as house:
        if backend == "sqlite":
            yield house
            return
        with store_of(backend, state) as store:
            yield replace(house, log=store.log, records=store.records)


def access_line(at: datetime, path: str = "/", *, status: int = 200, address: str = "192.0.2.9") -> str:
    """Return one line of an access log."""
    stamp = at.strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'{address} - - [{stamp}] "GET {path} HTTP/1.1" {status} 512 "-" "test"'
