"""The bench of Elasticsearch writes the same documents both ways and finds them all; no times are judged."""

import os

import pytest

from bench.elasticsearch import Bench, measured, report
from bench.store import batches
from scripts.elasticsearch.server import Cluster

pytestmark = pytest.mark.elasticsearch


def test_both_ways_write_all_documents_and_are_measured() -> None:
    bench = Bench(Cluster(urls=(os.environ["SECMON_ES_URL"],), pids=()), batches(300, 100))
    totals = measured(bench, 1)
    assert {name: total.documents for name, total in totals.items()} == {
        "ours": bench.documents(),
        "bare": bench.documents(),
    }
    assert all(total.spent.cpu_s > 0 and total.spent.wall_s > 0 for total in totals.values())
    assert "ours / bare" in report(totals)
