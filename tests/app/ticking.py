"""Web requests and their hits in an installation, for tests of ticks."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from secmon.app import alerts, rulebook
from secmon.app.installation import Installation
from secmon.model.alert import Alert
from secmon.model.event import Event
from secmon.model.hit import Hit
from secmon.sigma.hits import make_hits
from tests.app.houses import NOON, OPERATOR, SHELL
from tests.contracts.builders import DAY, batch_of, event_at


def request(number: int, minutes: float = 0, *, status: int = 200, path: str = "/", **more: Any) -> Event:
    """Return a web request as the pipeline makes it."""
    fields = {"source_ip": "192.0.2.9", "http_response.status_code": status, "url_path": path, **more}
    event = event_at(number, NOON + timedelta(minutes=minutes), **fields)
    return event | {"event.category": ["web"], "event.kind": "event"}


def commit(house: Installation, number: int, events: Sequence[Event], *, day: date = DAY) -> list[Hit]:
    """Commit events with their hits under the rules of the house, as one batch."""
    rulebook.keep(house, OPERATOR)
    engine, ruleset = house.stages.engine, house.ruleset
    assert engine is not None
    hits = [hit for event in events for hit in make_hits(ruleset, event, engine.match(event))]
    house.log.commit(OPERATOR, batch_of(events, number=number, hits=hits, day=day))
    return hits


def shells(first: int, count: int, minutes: float = 0, *, day: date = DAY, **more: Any) -> list[Event]:
    """Return requests that each hit the rule `SHELL`."""
    return [
        request(number, minutes + number / 1000, path="/shell.jsp", day=day, **more)
        for number in range(first, first + count)
    ]


def refused(first: int, minutes: Sequence[float], **more: Any) -> list[Event]:
    """Return refused requests, some minutes after noon: three within ten minutes are one of `BRUTE`."""
    return [request(first + n, minute, status=401, path="/login", **more) for n, minute in enumerate(minutes)]


def found(house: Installation, rule: str = SHELL) -> list[Alert]:
    """Return the alerts of a rule by their windows."""
    every = alerts.every_alert(house, OPERATOR, alerts.AlertFilter(rule=rule))
    return sorted(every, key=lambda alert: alert.window_from)


def facts(house: Installation) -> set[tuple[object, ...]]:
    """Return what all alerts say, whenever and in how many steps they came to it."""
    every = alerts.every_alert(house, OPERATOR, alerts.AlertFilter())
    return {(one.id, one.reason, str(one.content)) for one in every}
