"""The pages about rules: scores, one rule in full, ATT&CK coverage."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from secmon.sigma.rule import TACTICS
from secmon.web import words
from tests.web.consoles import Console, Tags, alerts, copy, data_of, opened_console, send

PROBE = "0b8f0f0e-6f0a-4f3e-9d1c-0a1b2c3d4e5f"
ODD = "0b8f0f0e-6f0a-4f3e-9d1c-0a1b2c3d4e60"


@pytest.fixture(scope="module")
def full(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console with rules loaded; `SetClock` says 7 September."""
    folder = tmp_path_factory.mktemp("full") / "house"
    copy(template, folder)
    (folder / "rules" / "probe.test.yaml").write_text(
        "cases: [{name: '<b>quiet</b>', expect: no_match, near_miss: true, events: [{url.path: /quiet}]}]", "utf-8"
    )
    with opened_console(folder, content=True) as found:
        yield found


@pytest.fixture
def analyst(full: Console) -> TestClient:
    return full.logged_in()


def test_rules_are_scored_by_what_people_decided(analyst: TestClient) -> None:
    first, second = [row["alert.id"] for row in alerts(analyst, "?state=all") if row["rule.id"] == PROBE][:2]
    send(analyst, "/alerts/act", id=first, action="close", reason="false_positive")
    send(analyst, "/alerts/act", id=second, action="close", reason="true_positive_without_impact")
    data = data_of(analyst, "/rules?days=7")
    assert data["scores"][0]["rule.id"] == PROBE  # what makes most work for nothing comes first
    assert data["scores"][0]["precision"] == 0.5
    assert data["sums"]["wrong"] == data["sums"]["right"] == 1
    text = analyst.get("/rules?days=7").text
    assert "<b>50 %</b>" in text
    assert "误报 1、真实-未造成影响 1" in text
    assert f'href="/rules/{PROBE}?days=7"' in text


def test_rules_that_never_fired_say_why(analyst: TestClient) -> None:
    never = {row["never_fired"] for row in data_of(analyst, "/rules")["scores"] if "never_fired" in row}
    assert never == {"no_events", "no_intelligence", "quiet", "too_few"}
    text = analyst.get("/rules").text
    assert all(words.NEVER_ZH[why] in text for why in never)
    assert never <= set(words.NEVER_ZH)


def test_a_rule_is_shown_with_its_text_and_its_tests(analyst: TestClient) -> None:
    data = data_of(analyst, f"/rules/{PROBE}")
    assert data["threat.technique.id"] == ["T1190"]
    assert data["can_fire"] is True
    assert data["tests"] == [
        {"case": "<b>quiet</b>", "expect": "no_match", "got": "no_match", "ok": True, "problem": ""}
    ]
    text = analyst.get(f"/rules/{PROBE}").text
    assert "url.path|contains: probe" in text
    assert "&lt;b&gt;quiet&lt;/b&gt;" in text
    assert "探测&lt;script&gt;" in text
    assert "L3-CES1-02" in text


def test_a_rule_says_when_it_is_wrong_and_what_to_do(analyst: TestClient) -> None:
    spraying = "/rules/601ee6b5-6cbe-4502-be3f-49b2a4d53efd"
    data = data_of(analyst, spraying)
    assert data["falsepositives"]
    assert data["playbook"] == "account-brute-force"
    text = analyst.get(spraying).text
    assert "可能的误报" in text
    assert data["falsepositives"][0] in text
    assert data_of(analyst, f"/rules/{PROBE}")["falsepositives"] == []


def test_a_correlation_leads_to_the_rules_it_rests_on_and_back(full: Console, analyst: TestClient) -> None:
    correlation = next(one for one in full.house.ruleset.correlations if one.generates)
    data = data_of(analyst, f"/rules/{correlation.id}")
    assert data["rule.kind"] == "correlation"
    base = data["rests_on"][0]["rule.id"]
    assert correlation.id in {one["rule.id"] for one in data_of(analyst, f"/rules/{base}")["used_by"]}
    assert f'href="/rules/{base}"' in analyst.get(f"/rules/{correlation.id}").text


def test_a_rule_that_is_gone_keeps_its_score(shared: Console, viewer: TestClient) -> None:
    assert shared.house.ruleset.by_id == {}
    assert data_of(viewer, f"/rules/{ODD}")["score"]["state"] == "retired"
    assert "已停用" in viewer.get(f"/rules/{ODD}").text


@pytest.mark.parametrize("path", ["/rules/nothing", "/rules?days=8", "/rules?days=<b>"])
def test_what_is_not_there_is_refused(viewer: TestClient, path: str) -> None:
    answer = viewer.get(path)
    assert answer.status_code in {400, 404}
    assert "<b>" not in answer.text


def test_a_user_of_one_unit_sees_the_scores_of_its_alerts(full: Console) -> None:
    name = full.user("teacher", units=("S-2",))
    rows = {row["rule.id"]: row for row in data_of(full.logged_in(name), "/rules?days=365")["scores"]}
    everything = {row["rule.id"]: row for row in data_of(full.logged_in(), "/rules?days=365")["scores"]}
    assert 0 < rows[PROBE]["alerts"] < everything[PROBE]["alerts"]


def test_coverage_counts_rules_that_the_sources_let_fire(analyst: TestClient) -> None:
    data = data_of(analyst, "/attack")
    rows = {row["threat.technique.id"]: row for row in data["techniques"]}
    assert PROBE in rows["T1190"]["rules"]
    assert all(row["score"] == len(row["rules"]) for row in rows.values())
    text = analyst.get("/attack").text
    tags = Tags(text)
    assert len([one for one in tags.of("section") if (one.get("aria-labelledby") or "").startswith("tactic-")]) >= 10
    assert f'href="/rules/{PROBE}"' in text
    assert set(words.TACTIC_ZH) == {*TACTICS, ""}


def test_the_layer_is_handed_out_as_a_file(analyst: TestClient) -> None:
    answer = analyst.get("/attack/file.json")
    assert answer.headers["content-disposition"] == 'attachment; filename="attack-layer.json"'
    assert answer.json()["versions"]["layer"] == "4.5"


def test_strangers_see_none_of_it(shared: Console) -> None:
    for path in ("/rules", f"/rules/{ODD}", "/attack", "/attack/file.json"):
        assert shared.browser().get(path).status_code == 303
