"""Back-tests of baselines: hits that pass by once, in order, give what the definitions give over all of them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secmon.app import backtest_baselines
from secmon.app.backtest_baselines import Trained
from secmon.app.detect import Place
from secmon.app.installation import Installation
from secmon.app.outages import Outages
from secmon.app.tallies import is_counted
from secmon.errors import SecmonError
from secmon.model.hit import Hit
from secmon.sigma.correlate import group_hits
from secmon.sigma.rule import CorrelationRule
from secmon.sigma.sliding import in_order
from tests.app.houses import OPERATOR, SetClock
from tests.app.test_baselines import DAY, NEW, SPIKE, START, house_at, unusual_moments
from tests.contracts.builders import event_at, hit_on

REQUEST = "7b1c9a4e-0b1d-4c56-8a55-6d3c64f3b000"
END = START + 16 * DAY


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with house_at(tmp_path_factory.mktemp("trained")) as opened:
        assert isinstance(opened.clock, SetClock)
        opened.clock.moment = END
        yield opened


def hits_of(rows: list[tuple[int, str, str]]) -> list[Hit]:
    """Return hits of the base rule: (hour, path, number of the address)."""
    return [
        hit_on(
            event_at(number, START + timedelta(hours=hour)),
            rule=REQUEST,
            captured={"url.path": path, "source.ip": f"192.0.2.{address}"},
        )
        for number, (hour, path, address) in enumerate(rows)
    ]


def trained(house: Installation, rule: CorrelationRule, hits: list[Hit]) -> Trained:
    assert rule.baseline is not None
    found = Trained(house, rule, rule.baseline, Outages(house, OPERATOR))
    for _, same in groupby(in_order(hits), key=lambda hit: hit.at):
        found.add(list(same), lambda identity: (Place(0, identity, "", "", 0), {}))
    return found


ROWS = st.lists(st.tuples(st.integers(0, 14 * 24), st.sampled_from(["/a", "/b"]), st.sampled_from("123")), max_size=120)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_what_it_says_is_what_the_definitions_say(house: Installation, rows: list[tuple[int, str, str]]) -> None:
    hits = hits_of(rows)
    for rule in house.ruleset.baselines:
        found = trained(house, rule, hits)
        expected: list[datetime] = []
        for _, ours in group_hits(rule, hits):
            expected += unusual_moments(rule, in_order(ours), END)
        assert sorted(one.at for one in found.unusual(None, END)) == sorted(expected)


def test_what_only_taught_is_told(house: Installation) -> None:
    found = trained(house, house.ruleset.by_id[SPIKE], hits_of([(9, "/a", "1"), (10, "/b", "1")]))  # type: ignore[arg-type]  # a baseline
    told = found.told(None)
    assert (told["groups"], told["learning_days"], told["taught_only"]) == (2, 2, True)
    assert (told["history_from"], told["taught_until"]) == ("2026-09-07T01:00:00.000Z", "2026-09-09T01:00:00.000Z")
    assert found.told(START + 3 * DAY)["taught_only"] is False


def test_a_window_that_could_not_be_judged_is_counted(house: Installation) -> None:
    found = trained(house, house.ruleset.by_id[SPIKE], hits_of([(9, "/a", "1")] * 8))  # type: ignore[arg-type]  # a baseline
    assert list(found.unusual(None, END)) == []
    assert found.learning == 1


def test_too_many_values_are_told(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest_baselines, "MAX_VALUES", 3)
    rows = [(number, "/a", str(number)) for number in range(5)]
    with pytest.raises(SecmonError, match="more than 3 different values"):
        trained(house, house.ruleset.by_id[NEW], hits_of(rows))  # type: ignore[arg-type]  # a baseline


@pytest.mark.parametrize(("days", "counts"), [(-200, True), (-201, False), (2, True), (4, False)])
def test_the_day_of_receipt_tells_whether_an_event_is_too_old(days: int, *, counts: bool) -> None:
    noon = event_at(1)
    at = datetime.fromisoformat(str(noon["@timestamp"])) + timedelta(days=days)
    assert is_counted(hit_on(event_at(1, at))) is counts


def test_an_archive_of_last_year_teaches_nothing(house: Installation) -> None:
    old = [
        hit_on(event_at(n, START - timedelta(days=300 - n)), rule=REQUEST, captured={"url.path": "/a"})
        for n in range(9)
    ]
    found = trained(house, house.ruleset.by_id[SPIKE], old)  # type: ignore[arg-type]  # a baseline
    assert found.told(None)["groups"] == 0
