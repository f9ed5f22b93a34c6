"""The pages for machines: /healthz, /readyz and /metrics, with the names of the contracts."""

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.web.consoles import Console, opened_console, prepare


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console whose daemon really runs."""
    folder = tmp_path_factory.mktemp("running") / "house"
    prepare(folder)
    with opened_console(folder, content=True) as found:
        found.daemon.run_once()
        found.daemon.start()
        try:
            yield found
        finally:
            found.daemon.stop()


def samples(console: Console) -> dict[tuple[str, ...], float]:
    text = console.browser().get("/metrics").text
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_healthz_says_alive_to_anybody(running: Console) -> None:
    answer = running.browser().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_readyz_is_ready_and_names_what_is_wrong(running: Console) -> None:
    answer = running.browser().get("/readyz")
    found = {check["check"]: check for check in answer.json()["checks"]}
    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    assert all(set(check) == {"check", "state", "detail"} for check in found.values())
    assert found["sources"]["state"] == "fail"
    assert "nowhere" in found["sources"]["detail"]


def test_which_rules_apply_since_when_is_told_everywhere(running: Console) -> None:
    ready = running.browser().get("/readyz").json()
    digest = running.house.ruleset.digest
    assert ready["ruleset"]["digest"] == digest
    check = next(one for one in ready["checks"] if one["check"] == "rules")
    assert check["state"] == "ok"
    assert digest in check["detail"]
    found = samples(running)
    assert found["secmon_ruleset_info", digest] == 1
    assert found["secmon_ruleset_refused",] == 0
    assert found["secmon_reloads_total", "changed"] == 0


def test_a_daemon_that_does_not_read_is_not_ready(shared: Console) -> None:
    answer = shared.browser().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False


def test_metrics_have_the_names_and_labels_of_the_contracts(running: Console) -> None:
    found = samples(running)
    outcomes = {
        outcome: found["secmon_records_total", outcome, "web"] for outcome in ("received", "stored", "dead_lettered")
    }
    assert outcomes == {"received": 11, "stored": 9, "dead_lettered": 2}
    assert found["secmon_records_total", "duplicate", "web"] == 0
    assert found["secmon_records_total", "dropped", "web"] == 0
    assert found["secmon_in_flight", "web"] == 0
    assert found["secmon_hits_total", "0b8f0f0e-6f0a-4f3e-9d1c-0a1b2c3d4e5f"] == 7
    assert found["secmon_lag_seconds", "web"] >= 0


def test_what_came_in_is_accounted_for_in_the_metrics(running: Console) -> None:
    found = samples(running)
    settled = sum(
        found["secmon_records_total", one, "web"] for one in ("stored", "duplicate", "dead_lettered", "dropped")
    )
    assert found["secmon_records_total", "received", "web"] == settled + found["secmon_in_flight", "web"]


def test_lag_grows_with_the_clock(running: Console) -> None:
    before = samples(running)["secmon_lag_seconds", "web"]
    running.clock.pass_time(minutes=3)
    assert samples(running)["secmon_lag_seconds", "web"] == before + 180


def test_metrics_hold_no_value_of_a_record(running: Console) -> None:
    text = running.browser().get("/metrics").text
    for value in ("curl", "/probe", "alert(1)", "web1"):
        assert value not in text
