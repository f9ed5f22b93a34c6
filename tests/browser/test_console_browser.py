"""The console in a real browser: from the one-time link to a draft, by keyboard, never against its own policy."""

import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.web.consoles import PASSWORD, prepare

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
START_S = 90
Session = list[Any]
"""Cookies of a logged-in browser."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="browser: /usr/bin/chromium is not there (Debian: chromium)"),
]

# Text whose contrast to what lies behind it is below WCAG 2.2 AA (4.5, or 3 for large text); disabled text aside.
FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((v, i) => v * a + under[i] * (1 - a)).concat(1);
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => node
    ? over(rgba(getComputedStyle(node).backgroundColor), behind(node.parentElement)) : [255, 255, 255, 1];
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].filter((one) => one.nodeType === 3).map((one) => one.data.trim()).join("");
    const style = getComputedStyle(node);
    if (!text || !node.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    if (node.closest(".sr, .skip, .hint, dialog:not([open]), kbd, option")) continue;
    const back = behind(node), fore = over(rgba(style.color), back);
    const [high, low] = [light(fore), light(back)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.push(`${text.slice(0, 20)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""


@dataclass(slots=True)
class Site:
    """A running secmon and what its browsers complained about."""

    url: str
    link: str
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A secmon of its own process, at its first start, over the hostile logs of the web tests."""
    folder = tmp_path_factory.mktemp("browser") / "house"
    prepare(folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SECMON_")}
    environment["SECMON_CONSOLE__LISTEN"] = "127.0.0.1:0"
    command = [sys.executable, "-m", "secmon", "--config", str(folder / "secmon.toml"), "up"]
    errors = folder / "errors.txt"
    with errors.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True, env=environment)
    assert process.stdout is not None
    try:
        found, _, _ = select.select([process.stdout], [], [], START_S)
        line = process.stdout.readline() if found else ""
        text = errors.read_text(encoding="utf-8")
        assert line, text
        link = re.search(r"(http://\S+)setup\?token=\S+", text)
        assert link is not None
        yield Site(link[1], link[0])
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


def opened(chromium: Browser, site: Site, **options: Any) -> Page:
    """Return a new browser's page that reports every error and every violation of the policy."""
    context = chromium.new_context(locale="zh-CN", base_url=site.url, **options)
    page = context.new_page()
    page.on("console", lambda one: site.complaints.append(f"{page.url}: {one.text}") if one.type == "error" else None)
    page.on("pageerror", lambda error: site.complaints.append(f"{page.url}: {error}"))
    if options.get("java_script_enabled", True):
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => console.error('violated ' + e.violatedDirective))"
        )
    return page


@pytest.fixture(scope="module")
def session(site: Site, chromium: Browser) -> Session:
    """Make the first administrator through the link, log in, and return the session."""
    page = opened(chromium, site)
    page.goto(site.link)
    for name, value in (("name", "admin"), ("password", PASSWORD), ("again", PASSWORD)):
        page.fill(f"input[name={name}]", value)
    page.click("text=设置 >> nth=-1")
    page.wait_for_url("**/login?made=1")
    page.fill("input[name=name]", "admin")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(site.url)
    cookies: Session = page.context.cookies()
    page.context.close()
    return cookies


def logged_in(chromium: Browser, site: Site, session: Session, **options: Any) -> Page:
    page = opened(chromium, site, **options)
    page.context.add_cookies(session)
    return page


@pytest.fixture
def page(site: Site, chromium: Browser, session: Session) -> Iterator[Page]:
    """A logged-in page; the test fails if the browser complained of anything."""
    site.complaints.clear()
    found = logged_in(chromium, site, session)
    yield found
    found.context.close()
    assert site.complaints == []


def alerts_shown(page: Page) -> int:
    """Open the list when all alerts are there, and return how many are open."""
    for _ in range(100):
        page.goto("/alerts")
        if page.locator("a", has_text="全部").locator("b").text_content() == "8":
            break
        page.wait_for_timeout(200)
    return int(page.locator("tbody tr[data-row]").count())


def current(page: Page) -> int:
    return int(page.evaluate("[...document.querySelectorAll('[data-row]')].findIndex((r) => r.matches('.current'))"))


def test_alerts_are_triaged_by_keyboard_alone(page: Page) -> None:
    assert alerts_shown(page) >= 3
    page.goto("/alerts?state=new")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert current(page) == 1
    page.keyboard.press("k")
    assert current(page) == 0
    page.keyboard.press("a")
    page.wait_for_url("**action=ack**")
    assert "已对 1 条告警执行“确认”" in page.inner_text("main")
    page.goto("/alerts")
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    assert page.inner_text("[data-picked]") == "已勾选 2 条"
    page.keyboard.press("c")
    assert page.locator("#reasons").is_visible()
    page.keyboard.press("6")
    page.wait_for_url("**action=close**")
    assert "已对 2 条告警执行“关闭”" in page.inner_text("main")
    page.goto("/alerts?state=closed")
    assert page.locator("tbody .reason-of", has_text="上级检测").count() == 2


def test_closing_without_a_reason_asks_for_it(page: Page) -> None:
    alerts_shown(page)
    page.locator("tbody input[type=checkbox]").first.check()
    page.click("button[value=close]")
    assert page.locator("#reasons").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#reasons").is_visible()
    assert page.url.endswith("/alerts")


def test_an_alert_is_opened_closed_by_its_own_page_and_left_again(page: Page) -> None:
    alerts_shown(page)
    page.goto("/alerts?level=high&state=new")
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.wait_for_url(re.compile(r"/alerts/[0-9a-f]{32}$"))
    assert page.locator(".events details").first.get_attribute("open") is not None
    page.keyboard.press("c")
    page.keyboard.press("1")
    page.wait_for_url("**done=1**")
    assert "误报" in page.inner_text(".headline")
    page.keyboard.press("u")
    page.wait_for_url("**/alerts?level=high&state=new")


def test_keys_move_between_pages_and_help_tells_them(page: Page) -> None:
    page.goto("/")
    for key, path in (("s", "sources"), ("d", "deadletters"), ("c", "compliance"), ("b", "bulletins"), ("a", "alerts")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"**/{path}")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("?")
    assert not page.locator("#help").is_visible()


def test_keys_are_letters_where_somebody_types(page: Page) -> None:
    alerts_shown(page)
    page.keyboard.press("/")
    page.keyboard.type("jack?ga")
    assert page.input_value("[data-search]") == "jack?ga"
    assert page.url.endswith("/alerts")
    page.keyboard.press("Enter")
    page.wait_for_url("**text=jack*")
    assert "没有符合条件的告警" in page.inner_text("main")


def test_a_report_and_a_draft_lead_to_their_evidence(page: Page) -> None:
    page.goto("/compliance")
    page.locator("button", has_text="开始自查").first.click()
    page.wait_for_url(re.compile(r"/compliance/[0-9a-f]{64}$"))
    assert "单位自查，不作为等级测评结论" in page.inner_text("main")
    page.locator(".refs a").first.click()
    assert page.locator("tr:target").count() == 1
    with page.expect_download() as download:
        page.click("text=Word（docx）")
    assert download.value.suggested_filename == "self-assessment.docx"
    alerts_shown(page)
    page.locator("tbody a[data-open]").first.click()
    page.click("text=事件报告（上行）")
    page.wait_for_url(re.compile(r"/bulletins/[0-9a-f]{32}$"))
    assert page.locator(".to-fill").count() > 5
    page.locator(".margin a").first.click()
    assert page.locator("tr:target").count() == 1


def test_everything_can_be_done_without_scripts(site: Site, chromium: Browser, session: Session) -> None:
    page = logged_in(chromium, site, session, java_script_enabled=False)
    page.goto("/alerts")
    page.locator("tbody input[type=checkbox]").first.check()
    page.select_option("select[name=reason]", "authorised_test")
    page.fill("input[name=note]", "演练")
    page.press("input[name=note]", "Enter")
    page.wait_for_url("**action=close**")
    assert "执行“关闭”" in page.inner_text("main")
    page.context.close()


PAGES = ["/", "/alerts?state=all", "/sources", "/deadletters", "/compliance", "/bulletins", "ALERT", "REPORT", "DRAFT"]
PAGES += ["/hunt", "/hunt?q=event.module:*&range=183d&field=url.path", "/hunt?q=nothing-has-this"]
PAGES += ["/coverage", "/coverage?unit=day", "/rules", "/attack", "/tuning"]
# Columns whose head does not stand over their cells, by the text of the head.
ASKEW = """[...document.querySelectorAll('table')].flatMap((table) => {
  const row = table.tBodies[0]?.rows[0], head = table.tHead?.rows[0];
  if (!row || !head || row.cells.length !== head.cells.length) return [];
  if (getComputedStyle(row).display !== 'table-row') return [];  // a card on a narrow screen
  return [...head.cells].filter((cell, n) =>
    Math.abs(cell.getBoundingClientRect().left - row.cells[n].getBoundingClientRect().left) > 1
  ).map((cell) => cell.textContent);
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 720, 390])
def test_every_page_is_legible_at_every_size_and_keeps_the_policy(
    site: Site, chromium: Browser, session: Session, scheme: str, width: int
) -> None:
    """720 is a 1440 wide window at 200 % zoom."""
    site.complaints.clear()
    page = logged_in(chromium, site, session, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for path in PAGES:
        if path.isupper():
            page.goto({"ALERT": "/alerts?state=all", "REPORT": "/compliance", "DRAFT": "/bulletins"}[path])
            opener = page.locator("tbody a[data-open]")
            if not opener.count():
                continue
            opener.first.click()
            page.wait_for_load_state()
        else:
            page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
        assert page.evaluate(FAINT) == [], (path, scheme)
        assert page.evaluate(ASKEW) == [], (path, width)
    page.context.close()
    assert site.complaints == []
