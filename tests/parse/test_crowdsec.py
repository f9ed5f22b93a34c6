"""Real lines with CrowdSec's own expectations: web and login fields must agree.

Times: access lines exactly; year-less syslog stamps from month to second only (its truth has the year of a CI run).
"""

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record
from secmon.model.stream import Position
from secmon.parse.encoding import decode
from secmon.parse.registry import KINDS

pytestmark = pytest.mark.corpora

# Their framing: syslog lines that carry an access line, a vendor's own format, an error log.
OTHERS = {"http_error-log"}
ITEMS = {"nginx": "nginx.access", "apache2": "apache.access"}
ACCESS_STAMP = re.compile(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] \"")
SSH = ["ssh-generic-test", "ssh-time-based-bf", "sshd-success-logs", "pam-logs"]


def folders() -> list[Path]:
    root = Path(os.environ.get("SECMON_CORPORA", "/nonexistent")) / "crowdsec-hub"
    return sorted(path.parent for path in root.glob("*/expected.json"))


def expectation(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return loaded


def events(folder: Path, kind: str) -> dict[str, Event]:
    """Return the first event of each record by its text; what is malformed or dropped is left out."""
    context = ParseContext(ZoneInfo("UTC"), datetime(2026, 1, 1, tzinfo=UTC))
    found: dict[str, Event] = {}
    (log,) = folder.glob("*.log")
    for frame in KINDS[kind].frame(log.read_bytes(), Position(), True).frames:
        text, _ = decode(frame.raw)
        try:
            result = KINDS[kind].parse(Record(text, log.name), context)
        except ParseError:
            continue
        if not isinstance(result, Dropped):
            found[text.strip()] = result[0]
    return found


def web(parsed: dict[str, str]) -> Event:
    """Return CrowdSec's fields of an access line by their ECS names, as far as it has them."""
    fields: Event = {}
    names = {"remote_addr": "source.address", "clientip": "source.address", "http_version": "http.version"}
    for theirs, ours in {**names, "httpversion": "http.version", "verb": "http.request.method"}.items():
        if parsed.get(theirs):
            fields[ours] = parsed[theirs]
    for theirs in ("status", "response"):
        if parsed.get(theirs):
            fields["http.response.status_code"] = int(parsed[theirs])
    agent = parsed.get("http_user_agent", "-")
    if agent != "-":
        fields["user_agent.original"] = agent
    return fields


WEB = [folder for folder in folders() if expectation(folder).get("log_type") in ITEMS]


@pytest.mark.parametrize("folder", WEB, ids=lambda folder: folder.name)
def test_access_lines_agree(folder: Path) -> None:
    truth = expectation(folder)
    made = events(folder, ITEMS[truth["log_type"]])
    wanted = [one for one in truth["parsed_events"] if one["meta"].get("log_type") not in OTHERS]
    wrong = []
    for one in wanted:
        text = one["parsed"].get("message", "").strip()
        event = made.get(text)
        if event is None:
            wrong.append((text[:80], "no event"))
            continue
        wrong += [(text[:80], name) for name, value in web(one["parsed"]).items() if event.get(name) != value]
        stamp = one["meta"].get("timestamp") or one["enriched"].get("MarshaledTime")
        if stamp and datetime.fromisoformat(stamp) != datetime.fromisoformat(str(event["@timestamp"])):
            wrong.append((text[:80], "@timestamp"))
    assert wrong == []


@pytest.mark.parametrize("folder", WEB, ids=lambda folder: folder.name)
def test_no_access_line_is_lost(folder: Path) -> None:
    (log,) = folder.glob("*.log")
    kind = ITEMS[expectation(folder)["log_type"]]
    lines = {line.strip() for line in log.read_text(encoding="utf-8").splitlines() if ACCESS_STAMP.search(line)}
    assert lines
    assert lines - set(events(folder, kind)) == set()


@pytest.mark.parametrize("name", SSH)
def test_login_lines_agree(name: str) -> None:
    folder = next(path for path in folders() if path.name == name)
    made = {str(event["message"]): event for event in events(folder, "syslog").values()}
    names = {
        "sshd_auth_user": "user.name",
        "sshd_invalid_user": "user.name",
        "sshd_client_ip": "source.ip",
        "program": "process.name",
        "pam_user": "user.name",
    }
    wrong = []
    for one in expectation(folder)["parsed_events"]:
        event = made[one["parsed"]["message"]]
        wrong += [
            (theirs, value, event.get(ours))
            for theirs, ours in names.items()
            if (value := one["parsed"].get(theirs)) and event.get(ours) != value
        ]
        stamp = datetime.fromisoformat(str(event["@timestamp"]))
        if stamp.strftime("%b %e %H:%M:%S") != one["parsed"]["timestamp"]:
            wrong.append(("timestamp", one["parsed"]["timestamp"], event["@timestamp"]))
    assert wrong == []


def test_every_line_of_these_logins_is_an_authentication() -> None:
    categories = [
        event["event.category"]
        for folder in folders()
        if folder.name in SSH
        for event in events(folder, "syslog").values()
    ]
    assert categories
    assert all(category == ["authentication"] for category in categories)
