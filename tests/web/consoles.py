"""A console over a real installation: settings, registers, rules and logs in a temporary folder, nothing mocked.

The logs, names and titles in it are hostile on purpose: every test of a page is a test with them.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2 as httpx
from starlette.testclient import TestClient

from secmon.app import users
from secmon.app.installation import Installation
from secmon.app.work import InlineWork
from secmon.config import load_settings
from secmon.daemon.service import Daemon
from secmon.model.access import ROOT, Access, Principal, Role
from secmon.web.console import create_console
from secmon.wiring import collectors_of, key_paths, opened

NOON = datetime(2026, 9, 7, 4, 0, tzinfo=UTC)
PASSWORD = "Kreide-4711-Tafel"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{7*7}}{% raw %}",
    "\u202egnp.exe",
)
ALL_ROLES = Access(Principal("user:test", frozenset(Role)), ROOT)
JSON = {"accept": "application/json"}

_UNITS = """
units:
  - {id: C-1, name: '某市<b>教育局</b>', kind: city}
  - {id: S-1, name: '某中学"><img src=x onerror=alert(1)>', kind: school, parent: C-1}
  - {id: S-2, name: 某小学, kind: school, parent: C-1}
"""
_ASSETS = """id,name,unit,level,hosts
A-1,教务系统<script>alert(1)</script>,S-1,3,web1
A-2,门户网站,S-2,2,web2
"""
_RULE = """
title: "Probe <script>alert(1)</script>"
id: 0b8f0f0e-6f0a-4f3e-9d1c-0a1b2c3d4e5f
status: test
taxonomy: ecs
logsource: {category: webserver}
detection: {a: {url.path|contains: probe}, condition: a}
level: high
tags: [attack.t1190]
custom:
  secmon:
    title_zh: '探测<script>alert(1)</script>'
    group_by: [host.name, user_agent.original]
    controls: [L3-CES1-02]
    reason: '{user_agent.original} 访问 {url.path}'
---
title: Odd method
id: 0b8f0f0e-6f0a-4f3e-9d1c-0a1b2c3d4e60
status: test
taxonomy: ecs
logsource: {category: webserver}
detection: {a: {http.request.method: TRACE}, condition: a}
level: low
"""


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        """Return the moment that was set."""
        return self.moment

    def monotonic_s(self) -> float:
        """Return seconds since the epoch of that moment."""
        return self.moment.timestamp()

    def pass_time(self, **by: float) -> None:
        """Let time pass: `pass_time(minutes=5)`."""
        self.moment += timedelta(**by)


@dataclass(slots=True)
class Console:
    """One console, as several browsers see it."""

    house: Installation
    daemon: Daemon
    clock: SetClock
    folder: Path
    clients: list[TestClient] = field(default_factory=list)

    def browser(self, **options: Any) -> TestClient:
        """Return a browser that is not logged in; it follows no redirect by itself."""
        client = TestClient(
            create_console(self.daemon, host="127.0.0.1"),
            base_url="http://127.0.0.1",
            follow_redirects=False,
            **options,
        )
        self.clients.append(client)
        return client

    def logged_in(self, name: str = "admin") -> TestClient:
        """Return a browser in which somebody is logged in."""
        client = self.browser()
        answer = client.post("/login", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client

    def user(self, name: str, *, units: tuple[str, ...] | None = None, roles: tuple[Role, ...] = tuple(Role)) -> str:
        """Make a user and return the name."""
        users.add_user(self.house, ALL_ROLES, name, PASSWORD, roles=roles, units=units)
        return name


def event(path: str, *, host: str = "web1", agent: str = "test", minute: int = 0, method: str = "GET") -> str:
    """Return one line of ready ECS of a web server."""
    at = (NOON - timedelta(hours=2) + timedelta(minutes=minute)).isoformat()
    return json.dumps(
        {
            "@timestamp": at,
            "event.kind": "event",
            "event.category": ["web"],
            "event.type": ["access"],
            "event.dataset": "nginx.access",
            "event.module": "nginx",
            "host.name": host,
            "user.name": agent,
            "url.path": path,
            "http.request.method": method,
            "user_agent.original": agent,
            "message": f"{agent} {path}",
        },
        ensure_ascii=False,
    )


def _logs() -> str:
    lines = [event(f"/probe/{agent}", agent=agent, minute=number) for number, agent in enumerate(HOSTILE)]
    lines += [event("/probe/two", host="web2", agent="curl", minute=20)]
    lines += [event("/", host="web2", agent="curl", minute=21, method="TRACE"), event("/quiet", minute=22)]
    lines += ["<img src=x onerror=alert(1)> is no JSON", "{{7*7}}"]
    return "\n".join(lines) + "\n"


def prepare(folder: Path) -> None:
    """Write settings, registers, rules and logs."""
    (folder / "rules").mkdir(parents=True)
    (folder / "logs").mkdir()
    (folder / "units.yaml").write_text(_UNITS, encoding="utf-8")
    (folder / "assets.csv").write_text(_ASSETS, encoding="utf-8")
    (folder / "rules" / "probe.yml").write_text(_RULE, encoding="utf-8")
    (folder / "logs" / "web.ndjson").write_text(_logs(), encoding="utf-8")
    (folder / "secmon.toml").write_text(_settings(folder), encoding="utf-8")


def copy(template: Path, folder: Path) -> None:
    """Copy an installation that is closed to another folder."""
    shutil.copytree(template, folder)
    (folder / "secmon.toml").write_text(_settings(folder), encoding="utf-8")


@contextmanager
def opened_console(folder: Path, *, content: bool = False) -> Iterator[Console]:
    """Open an installation that was prepared.

    Args:
        folder: where it is.
        content: load rules and classifiers, which takes seconds; only what reads logs needs them.
    """
    settings = load_settings(folder / "secmon.toml", environ={})
    clock = SetClock()
    with opened(settings, writable=True, content=content, clock=clock) as house:
        collectors = collectors_of(settings, clock, settle_s=0.0)
        work = InlineWork(house.stages)
        daemon = Daemon(house, collectors, work, state=settings.state, key_files=key_paths(settings))
        daemon.reading.turn()
        console = Console(house, daemon, clock, folder)
        try:
            yield console
        finally:
            for client in console.clients:
                client.close()
            for collector in collectors:
                collector.close()


def _settings(folder: Path) -> str:
    return f"""
[secmon]
state = "{folder}/state"
workers = 0
[content]
rules = ["{folder}/rules"]
[registers]
units = "{folder}/units.yaml"
assets = "{folder}/assets.csv"
[[sources]]
name = "web"
kind = "ecs"
paths = ["{folder}/logs/web.ndjson"]
asset = "A-1"
[[sources]]
name = "gone"
kind = "nginx.access"
paths = ["{folder}/nowhere/access.log"]
asset = "A-2"
"""


def data_of(client: TestClient, path: str) -> Any:
    """Return a page's data."""
    answer = client.get(path, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def csrf(client: TestClient) -> str:
    """Return the session's token as a form carries it."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
    assert found is not None
    return found[1]


def send(client: TestClient, path: str, **fields: Any) -> httpx.Response:
    """Send a form of ours."""
    return client.post(path, data={"csrf": csrf(client), **fields})


def alerts(client: TestClient, query: str = "") -> list[dict[str, Any]]:
    """Return the rows of the list."""
    rows: list[dict[str, Any]] = data_of(client, f"/alerts{query}")["alerts"]
    return rows


def pages(client: TestClient) -> list[str]:
    """Return the address of every page that a logged-in user can open, made so that each has something to show."""
    found = [
        "/",
        "/alerts",
        "/alerts?state=all",
        "/sources",
        "/coverage",
        "/coverage?unit=day",
        "/compliance",
        "/bulletins",
        "/nothing-here",
    ]
    found += ["/hunt", "/hunt?q=&field=url.path", "/hunt?q=event.module:*", "/hunt?q=user.name:"]
    found += ["/rules", "/rules?days=365", "/attack"]
    scores = [row for row in data_of(client, "/rules")["scores"] if row["state"] in {"active", "retired"}]
    found += [f"/rules/{row['rule.id']}" for row in scores[:4]]
    found += [f"/deadletters?state={state}" for state in ("waiting", "replayed", "dropped")]
    found += [f"/alerts/{row['alert.id']}" for row in alerts(client, "?state=all")]
    for kind, path, name in (
        ("assessments", "/compliance", "assessment.id"),
        ("bulletins", "/bulletins", "bulletin.id"),
    ):
        found += [f"{path}/{row[name]}" for row in data_of(client, path)[kind]]
    return found


class Tags(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[Mapping[str, str | None]]:
        """Return the attributes of all elements of one name."""
        return [attributes for name, attributes in self.found if name == tag]
