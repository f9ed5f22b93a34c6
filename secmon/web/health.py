"""Machine's pages: /healthz, /readyz, /metrics. They hold no data of people and need no log-in."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from secmon.app import accounts
from secmon.daemon.service import Daemon
from secmon.model.access import job_access
from secmon.web.auth import daemon_of
from secmon.web.respond import json_response


def healthz(request: Request) -> Response:
    """Say that the process lives."""
    del request
    return json_response({"status": "alive"})


def readyz(request: Request) -> Response:
    """Say whether records can be taken, and what stands in the way."""
    found = daemon_of(request).ready()
    return json_response(found, 200 if found["ready"] else 503)


def metrics(request: Request) -> Response:
    """Return the accounts in Prometheus' text format, read from the store at this moment."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Accounts(daemon_of(request)))
    return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")


class _Accounts(Collector):
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics of contracts: records, in flight, hits, lag."""
        house, access = self._daemon.house, job_access("metrics")
        records = CounterMetricFamily("secmon_records", "Records by outcome.", labels=["source", "outcome"])
        in_flight = GaugeMetricFamily("secmon_in_flight", "Records not settled yet.", labels=["source"])
        lag = GaugeMetricFamily("secmon_lag_seconds", "Seconds since the last record.", labels=["source"])
        now = house.clock.now()
        for one in accounts.accounts(house, access, self._daemon.reading.state.live):
            counts = one.counts
            outcomes = {
                "received": counts.received + one.in_flight,
                "stored": counts.stored,
                "duplicate": counts.duplicate,
                "dead_lettered": counts.dead_lettered,
                "dropped": sum(counts.dropped.values()),
            }
            for outcome, number in outcomes.items():
                records.add_metric([one.source, outcome], number)
            in_flight.add_metric([one.source], counts.in_flight + one.in_flight)
            if one.last_received:
                lag.add_metric([one.source], (now - one.last_received).total_seconds())
        hits = CounterMetricFamily("secmon_hits", "Hits by rule since the daemon started.", labels=["rule"])
        for rule, number in sorted(dict(self._daemon.reading.state.hits).items()):
            hits.add_metric([rule], number)
        yield from (records, in_flight, hits, lag, *_ruleset(self._daemon))


def _ruleset(daemon: Daemon) -> Iterable[Metric]:
    """Yield which rules apply since when, and how reloads ended."""
    state = daemon.ruleset()
    info = GaugeMetricFamily("secmon_ruleset_info", "Rule set in force: always 1.", labels=["digest"])
    info.add_metric([state.digest], 1)
    since = GaugeMetricFamily("secmon_ruleset_since_seconds", "When it took effect, seconds since 1970.")
    since.add_metric([], state.since.timestamp())
    refused = GaugeMetricFamily("secmon_ruleset_refused", "Files that the last reload refused.")
    refused.add_metric([], len(state.refused))
    reloads = CounterMetricFamily("secmon_reloads", "Reloads since the daemon started.", labels=["outcome"])
    for outcome in ("changed", "unchanged", "refused"):
        reloads.add_metric([outcome], state.counts[outcome])
    yield from (info, since, refused, reloads)
