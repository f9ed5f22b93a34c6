"""The page 覆盖: sources × time, down to the rules of one window; told in words, not by colour alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from secmon.app.schedule import go_on
from tests.sigma.tuning_texts import EXCEPTION, exception_text, override_text
from tests.web.consoles import Console, Tags, copy, data_of, opened_console, prepare
from tests.web.test_web_tuning import ODD, PROBE, WEB

DAY = "/coverage?day=2026-09-07"
NOON_WINDOW = "/coverage/window?source=web&from=2026-09-07T04:00:00.000Z"

HOSTILE = "<script>alert(9)</script>"
QUIET = (
    exception_text(**WEB, selection="url.path: /probe/two", expires="2026-12-01").replace("Exception 1", HOSTILE),
    override_text(f"{{rules: [{ODD}], disabled: true}}", expires="2026-12-01"),
)


@pytest.fixture(scope="module")
def covered(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console two hours later: one hour of data, one without."""
    folder = tmp_path_factory.mktemp("covered") / "house"
    copy(template, folder)
    with opened_console(folder, content=True) as found:
        for _ in range(32):
            found.clock.pass_time(minutes=4)
            go_on(found.house, failing=["gone"])
        yield found


@pytest.fixture(scope="module")
def viewer(covered: Console) -> TestClient:
    return covered.logged_in()


def cells_of(viewer: TestClient, source: str, path: str = DAY) -> dict[str, dict[str, object]]:
    rows = {row["source"]: row["cells"] for row in data_of(viewer, path)["sources"]}
    return {cell["from"]: cell for cell in rows[source]}


def test_each_hour_of_a_day_says_what_became_of_each_source(viewer: TestClient) -> None:
    web, gone = cells_of(viewer, "web"), cells_of(viewer, "gone")
    assert len(web) == 24
    assert (web["2026-09-07T04:00:00.000Z"]["state"], web["2026-09-07T04:00:00.000Z"]["events"]) == ("evaluated", 9)
    assert web["2026-09-07T05:00:00.000Z"]["state"] == "no_data"
    assert (
        gone["2026-09-07T05:00:00.000Z"] | {"reasons": ["failing"], "state": "not_run"}
        == (gone["2026-09-07T05:00:00.000Z"])
    )
    assert web["2026-09-07T10:00:00.000Z"]["state"] == "open"


def test_rules_that_wait_are_told_with_their_title_and_why(viewer: TestClient) -> None:
    text = viewer.get(DAY).text
    assert "解析威胁情报中的域名" in text
    assert "没有威胁情报：在 intel.files 中配置" in text


def test_a_window_tells_how_far_its_clock_is_off(viewer: TestClient) -> None:
    assert "<dt>比收到时刻</dt><dd>晚 1 小时" in viewer.get(NOON_WINDOW).text


def test_a_state_is_told_in_words_and_by_a_sign(viewer: TestClient) -> None:
    text = viewer.get(DAY).text
    assert "已评估，9 条" in text
    assert "未运行，来源读取失败" in text
    titles = [one.get("title") or "" for one in Tags(text).of("td") if "cover" in (one.get("class") or "")]
    assert len(titles) == 48
    assert all(titles)


def test_reasons_are_told_below_the_table_with_the_number_of_their_cells(viewer: TestClient) -> None:
    assert data_of(viewer, DAY)["reasons"] == {"failing": 2}
    assert "来源读取失败 2 格" in viewer.get(DAY).text


def test_days_show_the_worst_of_their_hours(viewer: TestClient) -> None:
    cells = cells_of(viewer, "gone", "/coverage?unit=day&day=2026-09-07")
    assert len(cells) == 31
    assert cells["2026-09-06T16:00:00.000Z"]["state"] == "not_run"
    assert cells["2026-09-06T16:00:00.000Z"]["hours"] == {"not_run": 2}


def test_a_window_shows_its_row_and_every_rule_that_its_source_reaches(viewer: TestClient) -> None:
    data = data_of(viewer, NOON_WINDOW)
    assert data["row"]["counts"]["events"] == 9
    told = {row["rule.name"]: row for row in data["rules"]}
    assert told["探测<script>alert(1)</script>"]["hits"] == 7
    assert told["Odd method"]["state"] == "evaluated"
    text = viewer.get(NOON_WINDOW).text
    assert data["row"]["digest"] in text
    assert f'href="/rules/{PROBE}"' in text
    assert "<script>alert(1)</script>" not in text


@pytest.fixture(scope="module")
def quieted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A browser two hours after logs came in while an exception, and a rule that is disabled, were in force."""
    folder = tmp_path_factory.mktemp("quieted") / "house"
    prepare(folder)
    (folder / "rules" / "tuning.yml").write_text("---\n".join(QUIET), encoding="utf-8")
    with opened_console(folder, content=True) as made:
        made.daemon.run_once()
        made.user("admin")
        for _ in range(32):
            made.clock.pass_time(minutes=4)
            go_on(made.house)
        yield made.logged_in()


def test_a_window_says_with_which_exceptions_it_was_evaluated(quieted: TestClient) -> None:
    data = data_of(quieted, NOON_WINDOW)
    (exception, disabled) = data["suppressions"]
    assert (exception["suppression.name"], disabled["suppression.kind"]) == (HOSTILE, "disabled")
    assert "path" not in exception
    told = {row["rule.id"]: row for row in data["rules"]}
    assert told[PROBE]["suppressions"] == [EXCEPTION.format(1)]
    assert (told[ODD]["state"], told[ODD]["reason"].partition(":")[0]) == ("not_run", "disabled")
    text = quieted.get(NOON_WINDOW).text
    for shown in ("规则已停用", f"/tuning#T-{EXCEPTION.format(1)}", "责任人 张三"):
        assert shown in text
    assert HOSTILE not in text


def test_all_links_of_both_pages_lead_to_pages(viewer: TestClient) -> None:
    for path in (DAY, NOON_WINDOW, "/coverage?unit=day&day=2026-09-07"):
        for one in Tags(viewer.get(path).text).of("a"):
            link = (one.get("href") or "").partition("#")[0]
            assert not link or viewer.get(link).status_code == 200, link


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/coverage?day=yesterday", 400),
        ("/coverage?day=0001-01-01", 400),
        ("/coverage?day=9999-12-31", 400),
        ("/coverage?unit=year", 400),
        ("/coverage/window?source=web&from=never", 400),
        ("/coverage/window?source=web&from=9999-12-31T23:59:59Z", 400),
        ("/coverage/window?source=nobody&from=2026-09-07T04:00:00Z", 404),
        ("/coverage/window", 400),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(viewer: TestClient, path: str, status: int) -> None:
    assert viewer.get(path).status_code == status


def test_nobody_sees_the_sources_of_others(covered: Console) -> None:
    covered.user("school", units=("S-1",))
    client = covered.logged_in("school")
    assert [row["source"] for row in data_of(client, DAY)["sources"]] == ["web"]
    assert client.get(NOON_WINDOW).status_code == 200
    assert client.get(NOON_WINDOW.replace("web", "gone")).status_code == 404


def test_before_anything_was_read_the_page_says_so(fresh: Console) -> None:
    fresh.user("admin")
    text = fresh.logged_in().get("/coverage").text
    assert "尚未关账" in text


def test_an_alert_about_our_own_sight_leads_to_the_ledger(viewer: TestClient) -> None:
    rows = data_of(viewer, "/alerts?state=all")["alerts"]
    row = next(one for one in rows if one["alert.group"].get("secmon.source") == "gone")
    text = viewer.get(f"/alerts/{row['alert.id']}").text
    links = {(one.get("href") or "").partition("#")[0] for one in Tags(text).of("a")} - {""}
    assert {link for link in links if viewer.get(link).status_code != 200} == set()
    assert "日志来源静默" in text
    assert 'href="/coverage"' in text
    assert "这些日志已过保存期" not in text
