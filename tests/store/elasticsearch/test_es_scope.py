"""Every search that leaves a port for somebody with units carries them, and only them.

What comes back is the subject of tests/contracts/test_scope_contract.py, which knows every method of the ports.
"""

from collections.abc import Callable
from typing import Any

import pytest

from secmon.model.access import Access
from secmon.model.query import Exists, Not
from secmon.model.questions import EventQuery, FindingQuery, HitQuery
from secmon.model.record import Document, RecordQuery
from secmon.ports import EventLog, Records
from secmon.store.elasticsearch.asking import SCOPE_FIELDS
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import Answer, Gateway
from secmon.store.elasticsearch.records import ElasticsearchRecords
from tests.contracts.builders import DAY, ROOT_ACCESS, access_to, batch_of, event_at, finding_in, hit_on

pytestmark = pytest.mark.elasticsearch

MINE = access_to("unit-a")

# What returns something of a unit.
LOG_READS: dict[str, Callable[[EventLog, Access], object]] = {
    "events": lambda log, access: list(log.events(access, EventQuery())),
    "events by text": lambda log, access: list(log.events(access, EventQuery(text="secret"))),
    "events_by_id": lambda log, access: log.events_by_id(access, [str(event_at(1)["event.id"])]),
    "digests": lambda log, access: log.digests(access, [str(event_at(1)["event.id"])]),
    "count": lambda log, access: log.count(access, EventQuery())[""],
    "count by a field": lambda log, access: log.count(access, EventQuery(), by="user.name"),
    "count by what is read": lambda log, access: log.count(access, EventQuery(), by="message"),
    "profile": lambda log, access: log.profile(access, EventQuery(), by="unit.id").count,
    "events by a query": lambda log, access: list(log.events(access, EventQuery(where=Not(Exists("host.name"))))),
    "survey": lambda log, access: log.survey(access, EventQuery(), interval_s=60, fields=["unit.id"]).count,
    "survey by what is read": lambda log, access: log.survey(access, EventQuery(), fields=["message"]).count,
    "hits": lambda log, access: list(log.hits(access, HitQuery())),
    "findings": lambda log, access: list(log.findings(access, FindingQuery())),
    "count_findings": lambda log, access: log.count_findings(access, FindingQuery()),
    "batches": lambda log, access: list(log.batches(access)),
    "batches_of": lambda log, access: list(log.batches_of(access, batch_of().stream)),
    "batch": lambda log, access: log.batch(access, day=DAY, retention="security", stream=batch_of().stream, number=1),
    "partitions": lambda log, access: log.partitions(access),
}
RECORD_READS: dict[str, Callable[[Records, Access], object]] = {
    "get": lambda records, access: records.get(access, "alert", "a"),
    "find": lambda records, access: records.find(access, RecordQuery(kind="alert")).documents,
    "find by text": lambda records, access: records.find(access, RecordQuery(kind="alert", text="secret")).documents,
    "count": lambda records, access: records.count(access, RecordQuery(kind="alert"))[""],
    "count by a key": lambda records, access: records.count(access, RecordQuery(kind="alert"), by="state"),
    "count by text": lambda records, access: records.count(access, RecordQuery(kind="alert", text="secret"))[""],
}


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Everything that is searched, as (path, query)."""
    sent: list[tuple[str, Any]] = []
    asks = Gateway.read

    def read(self: Gateway, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        if path.endswith("_search"):
            sent.append((path, body))
        return asks(self, method, path, body, **more)

    monkeypatch.setattr(Gateway, "read", read)
    return sent


def foreign_events(log: EventLog) -> None:
    for number, unit in enumerate(("unit-b", None), start=1):
        event = event_at(number, user_name="mori", message="secret")
        event |= {"unit.id": unit} if unit else {}
        hits, findings = [hit_on(event)], [finding_in(event)]
        log.commit(ROOT_ACCESS, batch_of([event], number=number, hits=hits, findings=findings))


def bounded(body: Any) -> bool:
    """Tell whether a query's own conditions hold the units of `MINE`."""
    filters = body["query"]["bool"]["filter"]
    return any(filters.count({"terms": {field: ["unit-a"]}}) == 1 for field in SCOPE_FIELDS.values())


@pytest.mark.parametrize("ask", LOG_READS.values(), ids=LOG_READS)
def test_nothing_of_another_unit_leaves_the_event_log(
    es_log: ElasticsearchEventLog, searches: list[tuple[str, Any]], ask: Callable[[EventLog, Access], object]
) -> None:
    foreign_events(es_log)
    assert ask(es_log, ROOT_ACCESS)
    searches.clear()
    assert not ask(es_log, MINE)
    assert not ask(es_log, access_to())
    # Batches hold no data of a unit; only their tokens and places are looked up.
    of_units = [body for path, body in searches if "-batches" not in path]
    assert all(bounded(body) or {"match_none": {}} in body["query"]["bool"]["filter"] for body in of_units)


@pytest.mark.parametrize("ask", RECORD_READS.values(), ids=RECORD_READS)
def test_nothing_of_another_unit_leaves_the_records(
    es_records: ElasticsearchRecords, searches: list[tuple[str, Any]], ask: Callable[[Records, Access], object]
) -> None:
    foreign: dict[str, Any] = {"kind": "alert", "body": {"t": "secret"}, "keys": {"state": "new"}}
    es_records.create(ROOT_ACCESS, Document(**foreign, id="a", unit_ids=("unit-b",)))
    es_records.create(ROOT_ACCESS, Document(**foreign, id="b"))
    assert ask(es_records, ROOT_ACCESS)
    searches.clear()
    assert not ask(es_records, MINE)
    assert not ask(es_records, access_to())
    assert all(bounded(body) or {"match_none": {}} in body["query"]["bool"]["filter"] for _, body in searches)
