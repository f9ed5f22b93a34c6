"""Each page: what it shows, and the same as data."""

import re
from importlib import resources

import pytest
from starlette.testclient import TestClient

from secmon.model.alert import AlertState
from secmon.model.assessment import MODE_OF_KIND, CheckKind, FactSource, Result
from secmon.model.bulletin import BulletinKind, BulletinState
from secmon.model.hit import Level
from secmon.web import words
from secmon.web.pages import alerts as alerts_page
from tests.web.consoles import JSON, Console, Tags, alerts, data_of, pages


def test_every_page_is_in_chinese_with_the_notice_a_menu_and_a_way_past_it(viewer: TestClient) -> None:
    for path in pages(viewer):
        text = viewer.get(path).text
        tags = Tags(text)
        assert tags.of("html") == [{"lang": "zh-CN"}]
        assert "本系统按非涉密网络设计，不得处理、存储涉密信息" in text
        assert {"class": "skip", "href": "#main"} in tags.of("a")
        assert len(tags.of("h1")) == 1
        assert [one["href"] for one in tags.of("a") if one.get("aria-current") == "page"] or path == "/nothing-here"


def test_ids_on_a_page_are_unique_and_every_anchor_leads_somewhere(viewer: TestClient) -> None:
    for path in pages(viewer):
        tags = Tags(viewer.get(path).text)
        ids = [attributes["id"] for _, attributes in tags.found if attributes.get("id")]
        assert len(ids) == len(set(ids)), path
        targets = {(one.get("href") or "")[1:] for one in tags.of("a") if (one.get("href") or "").startswith("#")}
        assert targets <= set(ids), path


def test_every_field_has_a_name_for_those_who_cannot_see(viewer: TestClient) -> None:
    for path in pages(viewer):
        tags = Tags(viewer.get(path).text)
        for tag in ("input", "select", "textarea"):
            for field in tags.of(tag):
                if field.get("type") == "hidden" or field.get("aria-label"):
                    continue
                assert labelled(viewer.get(path).text, field.get("name") or "", field.get("id") or "")


def labelled(text: str, name: str, identity: str) -> bool:
    inside = re.search(rf'<label[^>]*>(?:(?!</label>).)*name="{re.escape(name)}"', text, re.DOTALL)
    return bool(inside) or f'for="{identity}"' in text


def test_all_links_on_all_pages_lead_to_pages(viewer: TestClient) -> None:
    links = {
        (one.get("href") or "").partition("#")[0]
        for path in pages(viewer)
        for one in Tags(viewer.get(path).text).of("a")
        if "/file." not in (one.get("href") or "")
    }
    broken = {link: status for link in links if link and (status := viewer.get(link).status_code) != 200}
    assert broken == {}


def test_times_are_beijing_and_tell_utc(viewer: TestClient) -> None:
    row = next(one for one in alerts(viewer) if one["alert.last"].startswith("2026-09-07T02:20"))
    tags = Tags(viewer.get(f"/alerts/{row['alert.id']}").text)
    assert "UTC 2026-09-07T02:20:00.000Z" in [one.get("title") for one in tags.of("time")]
    assert "2026-09-07 10:20:00" in viewer.get(f"/alerts/{row['alert.id']}").text


def test_the_overview_says_what_to_do_next(viewer: TestClient) -> None:
    data = data_of(viewer, "/")
    kinds = {item["kind"] for item in data["todo"]}
    assert {"source", "alert", "bulletin", "letter"} <= kinds
    assert data["todo_more"] == 0
    assert data["todo"][0]["text"].startswith("日志来源 gone 读取异常")
    assert data["states"] == {"new": 8}
    text = viewer.get("/").text
    assert all(item["action"] in text for item in data["todo"])
    for item in data["todo"]:
        assert viewer.get(item["link"]).status_code == 200


def test_alerts_are_listed_with_names_beside_ids(viewer: TestClient) -> None:
    rows = alerts(viewer)
    assert len(rows) == 8
    assert {row["unit.name"] for row in rows if row["unit.id"] == "S-2"} == {"某小学"}
    assert {row["asset.name"] for row in rows if row["asset.id"] == "A-2"} == {"门户网站"}


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("?level=high", 7),
        ("?level=low", 1),
        ("?level=high&level=low", 8),
        ("?unit=S-2", 2),
        ("?asset=A-2&level=high", 1),
        ("?state=closed", 0),
        ("?state=all", 8),
        ("?state=new&state=closed", 8),
        ("?text=curl", 1),
        ("?rule=0b8f0f0e-6f0a-4f3e-9d1c-0a1b2c3d4e60", 1),
        ("?since=2026-09-07&until=2026-09-07", 8),
        ("?until=2026-09-06", 0),
        ("?since=2026-09-08", 0),
    ],
)
def test_a_filter_leaves_what_it_says(viewer: TestClient, query: str, number: int) -> None:
    assert len(alerts(viewer, query)) == number


def test_the_filter_stands_in_the_form_again(viewer: TestClient) -> None:
    tags = Tags(viewer.get("/alerts?level=high&text=a%22b&unit=S-2&since=2026-09-01").text)
    fields = {one.get("name"): one.get("value") for one in tags.of("input") if one.get("type") != "checkbox"}
    assert (fields["text"], fields["since"]) == ('a"b', "2026-09-01")
    assert [one["value"] for one in tags.of("input") if "checked" in one] == ["high"]
    assert [one["value"] for one in tags.of("option") if "selected" in one] == ["S-2"]


def test_an_empty_list_says_what_to_do(viewer: TestClient, fresh: Console) -> None:
    assert "看全部未办结的" in viewer.get("/alerts?text=nothing").text
    fresh.user("admin")
    browser = fresh.logged_in()
    for path, told in (
        ("/alerts", "来源正常、日志在进来，没有告警才有意义"),
        ("/deadletters", "没有等待处理的死信"),
        ("/compliance", "还没有做过自查"),
        ("/bulletins", "还没有通报或报告"),
    ):
        assert told in browser.get(path).text


def test_an_alert_shows_its_evidence_with_every_field(viewer: TestClient) -> None:
    row = alerts(viewer, "?text=curl&level=high")[0]
    data = data_of(viewer, f"/alerts/{row['alert.id']}")
    assert data["alert.events"] == [data["events"][0]["event.id"]]
    assert data["events"][0]["url.path"] == "/probe/two"
    text = viewer.get(f"/alerts/{row['alert.id']}").text
    for part in ("curl 访问 /probe/two", "T1190", "L3-CES1-02", "登录失败须有处理", "等保二级", "产生告警"):
        assert part in text
    assert text.count('<th scope="row"><code>') == len(data["events"][0])


def test_sources_show_an_account_that_adds_up_and_what_is_wrong(viewer: TestClient) -> None:
    rows = {row["source"]: row for row in data_of(viewer, "/sources")["sources"]}
    web = rows["web"]
    assert (web["received"], web["stored"], web["dead_lettered"], web["balanced"]) == (11, 9, 2, True)
    assert rows["gone"]["state"] == "failing"
    text = viewer.get("/sources").text
    assert "11 = 9 + 0 + 2 + 0 + 0" in text
    assert str(rows["gone"]["problems"][0]).split(":")[0] in text


def test_dead_letters_show_the_masked_line_and_the_problem_in_chinese(viewer: TestClient) -> None:
    data = data_of(viewer, "/deadletters")
    assert data["states"] == {"waiting": 2}
    assert [row["source"] for row in data["deadletters"]] == ["web", "web"]
    text = viewer.get("/deadletters").text
    assert "web 第 11 条" in text
    assert "不是 JSON" in text
    assert data_of(viewer, "/deadletters?source=gone")["deadletters"] == []


def test_compliance_lists_systems_with_their_level_named_in_full(viewer: TestClient) -> None:
    data = data_of(viewer, "/compliance")
    assert [asset["asset.id"] for asset in data["assets"]] == ["A-1", "A-2"]
    assert len(data["assessments"]) == 1
    text = viewer.get("/compliance").text
    assert "等保三级" in text
    assert "单位自查，不作为等级测评结论" in text


def test_an_assessment_shows_every_item_with_its_evidence_and_no_verdict(viewer: TestClient) -> None:
    identity = data_of(viewer, "/compliance")["assessments"][0]["assessment.id"]
    data = data_of(viewer, f"/compliance/{identity}")
    text = viewer.get(f"/compliance/{identity}").text
    assert len(data["items"]) == 26
    assert set(data["summary"]) == {result.value for result in Result}
    assert all(f'id="{item["control.id"]}"' in text for item in data["items"])
    assert all(f'id="{one["evidence.id"]}"' in text for one in data["evidence"])
    assert "单位自查，不作为等级测评结论" in text
    assert not re.search("总体结论[:：]|总体符合|自查结论", text)


def test_a_bulletin_shows_what_a_person_must_fill_in(viewer: TestClient) -> None:
    rows = data_of(viewer, "/bulletins")["bulletins"]
    assert {row["kind"] for row in rows} == {"warning", "incident-report"}
    row = rows[0]
    text = viewer.get(f"/bulletins/{row['bulletin.id']}").text
    open_ = sum(1 for one in row["paragraphs"] if one.get("to_fill"))
    assert open_ > 0
    assert text.count("待填写</span>") == open_
    assert "由 OA 编发" in text


@pytest.mark.parametrize("place", ["compliance", "bulletins"])
@pytest.mark.parametrize(("name", "head"), [("html", b"<!DOCTYPE html>"), ("docx", b"PK"), ("pdf", b"%PDF-")])
def test_a_document_is_downloaded_never_shown(shared: Console, place: str, name: str, head: bytes) -> None:
    admin = shared.logged_in()
    listed = data_of(admin, f"/{place}")
    row = (listed.get("assessments") or listed.get("bulletins"))[0]
    identity = row.get("assessment.id") or row["bulletin.id"]
    answer = admin.get(f"/{place}/{identity}/file.{name}")
    assert answer.status_code == 200
    assert answer.content[: len(head)].upper() == head.upper()
    assert answer.headers["content-disposition"].startswith("attachment;")


@pytest.mark.parametrize("name", ["exe", "json", "..", "html%2f..", "", "HTML"])
def test_a_format_nobody_writes_is_not_there(viewer: TestClient, name: str) -> None:
    identity = data_of(viewer, "/compliance")["assessments"][0]["assessment.id"]
    assert viewer.get(f"/compliance/{identity}/file.{name}").status_code == 404


def test_data_comes_only_when_it_is_asked_for_first(viewer: TestClient) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,application/json;q=0.8,*/*;q=0.7"
    assert viewer.get("/sources", headers={"accept": browser}).headers["content-type"].startswith("text/html")
    assert viewer.get("/sources", headers=JSON).headers["content-type"] == "application/json"


def test_paging_goes_through_all_alerts_once(shared: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts_page, "PAGE", 3)
    browser = shared.logged_in()
    seen, path, turns = [], "/alerts?level=high", 0
    while path:
        data = data_of(browser, path)
        seen += [row["alert.id"] for row in data["alerts"]]
        link = re.search(r'href="([^"]+)" rel="next"', browser.get(path).text)
        path, turns = (link[1].replace("&amp;", "&") if link else ""), turns + 1
    assert (turns, len(seen), len(set(seen))) == (3, 7, 7)


def test_severity_is_told_by_text_icon_and_shade_not_by_the_colours_of_warnings() -> None:
    css = (resources.files("secmon.web") / "static" / "console.css").read_text(encoding="utf-8")
    rules = "".join(re.findall(r"\.level[^{]*\{([^}]*)\}", css.partition("@media print")[0]))
    assert "var(--shade-5)" in rules
    assert not re.search(r"\b(red|orange|yellow|blue)\b|#[0-9a-f]{3,6}|rgb|hsl|trouble", rules)
    assert set(words.LEVEL_ZH.values()).isdisjoint({"红", "橙", "黄", "蓝", "一级", "二级", "Ⅰ级"})


def test_every_word_a_page_may_need_is_there() -> None:
    assert set(words.LEVEL_ZH) == {level.value for level in Level}
    assert set(words.STATE_ZH) == {state.value for state in AlertState}
    assert set(words.RESULT_KEY) == {result.value for result in Result}
    assert set(words.BULLETIN_KIND_ZH) == {kind.value for kind in BulletinKind}
    assert set(words.BULLETIN_STATE_ZH) == {state.value for state in BulletinState}
    assert {MODE_OF_KIND[kind] for kind in CheckKind} == set(words.MODE_ZH)
    assert {source.value for source in FactSource} <= set(words.EVIDENCE_ZH)
