"""Hostile logs, names and titles: on no page do they become anything but text."""

import pytest
from starlette.testclient import TestClient

from tests.web.consoles import HOSTILE, JSON, Tags, alerts, pages

# What our own pages consist of; anything else came out of a log.
ELEMENTS = {
    *("a", "abbr", "article", "aside", "b", "body", "br", "button", "caption", "code", "dd", "details", "dialog"),
    *("div", "dl", "dt", "fieldset", "form", "h1", "h2", "h3", "h4", "head", "header", "html", "input", "kbd", "label"),
    *("legend", "li", "link", "main", "meta", "nav", "ol", "option", "p", "path", "q", "rect", "script", "section"),
    *("select", "small", "span", "strong", "summary", "svg", "table", "tbody", "td", "textarea", "tfoot", "th"),
    *("thead", "time", "title", "tr", "ul"),
}
SCHEMES = ("/", "#", "?")


def test_every_hostile_text_reached_the_pages(viewer: TestClient) -> None:
    """Without this the other tests would prove nothing."""
    found = " ".join(row["alert.reason"] for row in alerts(viewer))
    assert all(text in found for text in HOSTILE)


def test_pages_hold_only_their_own_elements(viewer: TestClient) -> None:
    for path in pages(viewer):
        tags = Tags(viewer.get(path).text)
        assert {tag for tag, _ in tags.found} <= ELEMENTS, path
        assert tags.of("script") == [{"type": "module", "src": "/static/console.js"}], path


def test_no_attribute_can_run_or_paint(viewer: TestClient) -> None:
    for path in pages(viewer):
        for tag, attributes in Tags(viewer.get(path).text).found:
            names = set(attributes)
            assert not {name for name in names if name.startswith("on")} | names & {"style", "srcdoc"}, (path, tag)


def test_every_link_and_form_stays_on_this_site(viewer: TestClient) -> None:
    for path in pages(viewer):
        for tag, attributes in Tags(viewer.get(path).text).found:
            for name in ("href", "src", "action", "formaction"):
                target = attributes.get(name)
                assert target is None or (target.startswith(SCHEMES) and not target.startswith("//")), (path, tag)


def test_templates_in_logs_are_text(viewer: TestClient) -> None:
    text = viewer.get("/alerts").text
    assert "{{7*7}}" in text
    assert ">49<" not in text


def test_characters_that_turn_text_around_are_made_visible(viewer: TestClient) -> None:
    for path in pages(viewer):
        assert not set("\u202e\u2066\u200f\x1b\x00") & set(viewer.get(path).text), path
    assert "\\u202egnp.exe" in viewer.get("/alerts").text


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_searched_for_comes_back_as_text(viewer: TestClient, text: str) -> None:
    tags = Tags(viewer.get("/alerts", params={"text": text, "rule": text, "unit": text, "asset": text}).text)
    assert {tag for tag, _ in tags.found} <= ELEMENTS
    assert tags.of("script") == [{"type": "module", "src": "/static/console.js"}]


def test_data_is_json_and_never_sniffed(viewer: TestClient) -> None:
    answer = viewer.get("/alerts", headers=JSON)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
