"""Searching: a point in time is closed however the search ends, and no request waits longer than its budget."""

import json
import time

import pytest

from secmon.errors import SearchStoppedError, StoreUnavailableError
from secmon.model.access import ROOT
from secmon.model.search import Budget
from secmon.store.elasticsearch.batches import Batches
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.snapshot import Views
from tests.contracts.builders import ROOT_ACCESS, batch_of, event_at
from tests.store.elasticsearch.scripted import Reply, Script, scripted

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def views(es_log: ElasticsearchEventLog, es_gateway: Gateway) -> Views:
    es_log.commit(ROOT_ACCESS, batch_of([event_at(n) for n in range(300)]))
    return Views(es_gateway, Batches(es_gateway))


def is_open(gateway: Gateway, pit: str) -> bool:
    return gateway.search("/_search", {"size": 0, "pit": {"id": pit}}) is not None


def failing(views: Views, pits: list[str]) -> None:
    with views.take("events") as snapshot:
        pits.append(snapshot.pit)
        assert is_open(views.gateway, snapshot.pit)
        raise ZeroDivisionError


def test_a_point_in_time_is_closed_after_a_failure(views: Views, es_gateway: Gateway) -> None:
    pits: list[str] = []
    with pytest.raises(ZeroDivisionError):
        failing(views, pits)
    assert not is_open(es_gateway, pits[0])


@pytest.mark.parametrize("ends", ["left", "stopped"])
def test_a_point_in_time_is_closed_when_a_walk_is_left_or_stopped(
    views: Views, es_gateway: Gateway, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    pits: list[str] = []
    opens = Views._open

    def noted(self: Views, *args: object, **more: object) -> object:
        snapshot = opens(self, *args, **more)  # type: ignore[arg-type]  # handed on as it came
        pits.append(snapshot.pit)
        return snapshot

    monkeypatch.setattr(Views, "_open", noted)
    gone = [False]
    budget = Budget(lambda: 0.0, seconds=60.0, abandoned=lambda: gone[0])
    walk = views.walk("events", ROOT, [], ({"event.id": "asc"},), budget=budget)
    next(walk)
    gone[0] = True
    if ends == "left":
        walk.close()  # type: ignore[attr-defined]  # a generator
    else:
        with pytest.raises(SearchStoppedError):
            list(walk)
    assert not is_open(es_gateway, pits[0])


def test_no_request_waits_longer_than_its_budget(views: Views, es_gateway: Gateway) -> None:
    with views.take("events", Budget(time.monotonic, seconds=0.0)) as snapshot, pytest.raises(SearchStoppedError):
        snapshot.search(ROOT, [], {"size": 0})
    assert es_gateway.search("/_search", {"size": 0}, timeout_s=30.0) is not None


def breaker(most: int, documents: int) -> Script:
    """Return what a cluster answers that has memory for so many documents at once."""

    def answer(method: str, path: str, body: bytes) -> Reply:
        if path.endswith("_pit?keep_alive=5m"):
            return Reply(200, {"id": "p"})
        if not path.startswith("/_search"):
            return Reply(200 if method == "DELETE" else 404)
        asked = json.loads(body)
        if asked["size"] > most:
            return Reply(429, {"error": {"type": "circuit_breaking_exception", "reason": "Data too large"}})
        first = asked.get("search_after", [-1])[0] + 1
        found = [{"_source": {"n": n}, "sort": [n]} for n in range(first, min(first + asked["size"], documents))]
        return Reply(200, {"timed_out": False, "_shards": {"failed": 0}, "pit_id": "p", "hits": {"hits": found}})

    return answer


@pytest.mark.parametrize("most", [1, 7])
def test_documents_that_are_too_large_together_are_read_in_smaller_pieces(most: int) -> None:
    with scripted(breaker(most, 30)) as server:
        gateway = Gateway(server.settings)
        walk = Views(gateway, Batches(gateway)).walk("hits", ROOT, [], ({"event": "asc"},))
        assert [source["n"] for source in walk] == list(range(30))
        gateway.close()


def test_a_document_that_is_too_large_by_itself_is_an_error() -> None:
    with scripted(breaker(0, 30)) as server:
        gateway = Gateway(server.settings)
        with pytest.raises(StoreUnavailableError, match="circuit_breaking_exception"):
            list(Views(gateway, Batches(gateway)).walk("hits", ROOT, [], ({"event": "asc"},)))
        gateway.close()
