"""A real cluster that says 429: nothing is lost, nothing is twice, and everybody gets through in the end."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from scripts.elasticsearch.server import Options, running_cluster
from secmon.model.access import job_access
from secmon.model.questions import EventQuery
from secmon.store.elasticsearch.bulk import BulkWriter
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import Answer, ElasticsearchSettings, Gateway
from secmon.store.elasticsearch.mapping import IndexSettings
from secmon.store.elasticsearch.pace import MAX_BYTES
from tests.contracts.builders import batch_of, event_at

pytestmark = pytest.mark.elasticsearch

ACCESS = job_access("test")
PORT = 9640
WRITERS = 4
BATCHES = 3
EVENTS = 1_500
TEXT = "x" * 1_500


class Counting(Gateway):
    """A real way to the cluster that counts its refusals."""

    refusals = 0

    def lines(self, path: str, body: bytes, *, expect: Sequence[int] = (), **params: Any) -> Answer:
        answer = super().lines(path, body, expect=expect, **params)
        statuses = [next(iter(item.values()))["status"] for item in answer.body.get("items", ())]
        self.refusals += answer.status == 429 or 429 in statuses
        return answer


@pytest.fixture(scope="module")
def pressed() -> Iterator[ElasticsearchSettings]:
    """A cluster that takes 4 MB of writes at once, all requests together."""
    options = Options(port=PORT, settings={"indexing_pressure.memory.limit": "4mb"})
    with running_cluster(options) as cluster:
        yield ElasticsearchSettings(urls=tuple(cluster.urls), prefix="pressed", indices=IndexSettings(replicas=0))


def test_writers_that_are_too_fast_for_the_cluster_all_get_through(pressed: ElasticsearchSettings) -> None:
    """Several writers begin as fast as a healthy cluster would let them, which is far more than this one takes."""
    log = ElasticsearchEventLog(pressed, writable=True)
    gateways = [Counting(pressed) for _ in range(WRITERS)]

    def write(number: int) -> None:
        writer = log._writer
        bulk = BulkWriter(gateways[number])
        for _ in range(1_000):
            bulk._pace.went_well(bulk._pace.start(), 0)
        assert bulk._pace.bytes == MAX_BYTES
        try:
            for one in range(BATCHES):
                first = (number * BATCHES + one) * EVENTS
                events = [event_at(first + offset, message=TEXT) for offset in range(EVENTS)]
                batch = replace(batch_of(events, number=one + 1), generation=f"{number:064x}")
                replace(writer, bulk=bulk).commit(batch)
        finally:
            bulk.close()

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(write, range(WRITERS)))
    try:
        assert sum(gateway.refusals for gateway in gateways) > 0
        assert log.count(ACCESS, EventQuery()) == {"": WRITERS * BATCHES * EVENTS}
        assert log.check(ACCESS, deep=True) == []
    finally:
        for gateway in gateways:
            gateway.close()
        log.close()
