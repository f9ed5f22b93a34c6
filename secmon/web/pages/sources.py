"""Sources: the exact account of each, and which are silent or failing."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from secmon.app import accounts
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import page
from secmon.web.respond import respond
from secmon.web.sight import Names, sources_in_sight


@page
def sources(request: Request, visitor: Visitor) -> Response:
    """List all sources."""
    daemon = daemon_of(request)
    house, now = daemon.house, daemon.house.clock.now()
    rows, lags = [], {}
    for one in sources_in_sight(daemon, visitor):
        row = accounts.row(one)
        row["balanced"] = balanced(row)
        configured = house.sources.get(one.source)
        if configured and configured.asset:
            row["asset.id"] = configured.asset
        if one.last_received:
            lags[one.source] = (now - one.last_received).total_seconds()
        rows.append(row)
    data = {"sources": rows}
    return respond(
        request, visitor, "sources.html.j2", data, title="日志来源", lags=lags, total=_total(rows), names=Names(house)
    )


def balanced(row: Mapping[str, Any]) -> bool:
    """Tell whether received = stored + duplicate + dead-lettered + dropped + in flight."""
    settled = row["stored"] + row["duplicate"] + row["dead_lettered"] + sum(row["dropped"].values())
    return bool(row["received"] == settled + row["in_flight"])


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("received", "stored", "duplicate", "dead_lettered", "in_flight")
    total: dict[str, Any] = {name: sum(row[name] for row in rows) for name in names}
    total["dropped"] = sum(sum(row["dropped"].values()) for row in rows)
    total["balanced"] = all(row["balanced"] for row in rows)
    return total


ROUTES = [Route("/sources", sources)]
