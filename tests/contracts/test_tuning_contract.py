"""Exceptions on every store: the same hits are annotated, the same alerts raised, and a preview tells the same."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from secmon.app import alerts, tuning
from secmon.app.installation import Installation
from secmon.app.preview import preview
from secmon.model.questions import HitQuery
from secmon.sigma.rule import RuleFile
from secmon.sigma.ruleset import load_rules
from tests.app.houses import NOON, OPERATOR, RULES, access_line, opened_house
from tests.app.test_preview import DISABLED, NIGHT, proposed
from tests.app.test_suppressed_alerts import PATHS, RARE, SCANNER, contents_of, plain, summary, take_in
from tests.contracts.backends import remove_store, store_of
from tests.sigma.tuning_texts import EXCEPTION


@contextmanager
def house_on(backend: str, state: Path, *texts: str) -> Iterator[Installation]:
    """Open an installation on a store of its own, which is removed behind it."""
    rules = "---\n".join([RULES, *texts])
    (state / "store").mkdir(parents=True)
    try:
        with opened_house(state / "plain", rules=rules) as house, store_of(backend, state / "store") as store:
            yield replace(house, log=store.log, records=store.records)
    finally:
        remove_store(backend, state / "store")


def some_lines(seed: int) -> list[str]:
    dice = random.Random(seed)  # noqa: S311  a log, no secrets
    return [
        access_line(
            NOON + timedelta(minutes=minute),
            dice.choice(["/shell.jsp", "/shell-test.jsp", "/"]),
            status=dice.choice([200, 401, 401]),
            address=f"192.0.2.{dice.choice([8, 9])}",
        )
        for minute in sorted(dice.sample(range(70), 20))
    ]


def stored(house: Installation) -> list[tuple[str, str, str | None]]:
    hits = house.log.hits(OPERATOR, HitQuery())
    return sorted((hit.event_id, hit.rule_id, hit.suppressed_by) for hit in hits)


@pytest.mark.parametrize("seed", range(2))
def test_alerts_are_those_of_the_hits_that_nothing_suppresses_on_every_store(
    backend: str, tmp_path: Path, seed: int
) -> None:
    lines = some_lines(seed)
    late = lines[::3]
    with house_on(backend, tmp_path / "tuned", RARE, SCANNER, PATHS) as house:
        take_in(house, [line for line in lines if line not in late], name="first")
        contents_of(house)
        take_in(house, late, name="late")
        found = contents_of(house)
        assert any(one.count for one in found.values())
        assert len(list(house.log.hits(OPERATOR, HitQuery(suppressed_by=EXCEPTION.format(1))))) > 1
    with house_on("sqlite", tmp_path / "narrowed", RARE, plain(SCANNER), plain(PATHS)) as narrowed:
        take_in(narrowed, lines)
        expected = contents_of(narrowed)
    assert {key: summary(one) for key, one in found.items()} == {key: summary(one) for key, one in expected.items()}


@pytest.mark.parametrize("texts", [(SCANNER, PATHS), (DISABLED, NIGHT)], ids=["exceptions", "disabled and maintenance"])
def test_a_preview_is_the_same_on_every_store(backend: str, tmp_path: Path, texts: tuple[str, ...]) -> None:
    told: list[dict[str, Any]] = []
    for name in (backend, "sqlite"):
        with house_on(name, tmp_path / f"of-{len(told)}", RARE) as house:
            take_in(house, some_lines(7))
            contents_of(house)
            told.append(preview(house, OPERATOR, proposed(*texts)))
    assert told[0] == told[1]
    assert told[0]["hits"]["covered"] > 1
    assert told[0]["alert_rows"]


def test_hits_are_annotated_counted_and_found_the_same_on_every_store(backend: str, tmp_path: Path) -> None:
    lines = [*some_lines(3), access_line(datetime(2026, 11, 21, 17, tzinfo=UTC), "/shell.jsp", address="192.0.2.8")]
    told: list[Any] = []
    for name in (backend, "sqlite"):
        with house_on(name, tmp_path / f"of-{len(told)}", SCANNER, PATHS) as house:
            take_in(house, lines)
            contents_of(house)
            rows = [(row["suppression.id"], row["suppression.days"]) for row in tuning.tuning(house, OPERATOR)]
            every = sorted(alerts.every_alert(house, OPERATOR, alerts.AlertFilter()), key=lambda one: one.id)
            beside = [(alert.id, tuning.beside(house, OPERATOR, alert)) for alert in every]
            later = replace(house, ruleset=load_rules([RuleFile("r.yml", RULES)]))
            told.append((stored(house), rows, beside, tuning.one_of(later, OPERATOR, EXCEPTION.format(1))))
    assert told[0] == told[1]
    assert told[0][1][0][1].keys() == {"2026-11-21", "2026-11-22"}
