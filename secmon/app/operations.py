"""What commands ask for, by name: the same table serves a command that works itself and the daemon's socket.

Arguments and results are plain JSON, so that both ways give the same answer. An operation that writes is done by the
one writer: the daemon while it runs, else the command under the writer lock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from secmon.app import accounts, alerts, bulletins, deadletters, integrity, reports
from secmon.app.installation import Installation
from secmon.errors import SecmonError
from secmon.model.access import Access
from secmon.model.event import parse_time

Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a command may ask for.

    Args:
        run: does it; plain JSON in and out.
        writes: only the writer may do it.
        content: it needs rules and classifiers loaded.
    """

    run: Callable[[Installation, Access, Arguments], Any]
    writes: bool = False
    content: bool = False


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise SecmonError("a time must be RFC 3339, such as 2026-09-07T08:00:00+08:00") from None


def _alerts_list(house: Installation, access: Access, args: Arguments) -> Any:
    wanted = alerts.AlertFilter(
        states=tuple(args.get("states") or ()),
        levels=tuple(args.get("levels") or ()),
        rule=args.get("rule") or "",
        unit=args.get("unit") or "",
        asset=args.get("asset") or "",
        since=_time(args.get("since")),
        until=_time(args.get("until")),
        text=args.get("text") or "",
        limit=int(args.get("limit") or 100),
        cursor=args.get("cursor") or "",
    )
    page = alerts.list_alerts(house, access, wanted)
    return {"alerts": [alerts.row(alert) for alert in page.alerts], "cursor": page.cursor}


def _alerts_show(house: Installation, access: Access, args: Arguments) -> Any:
    return alerts.details(house, access, alerts.get_alert(house, access, args["id"]))


def _alerts_act(house: Installation, access: Access, args: Arguments) -> Any:
    reason = alerts.close_reason(args.get("reason")) if args["action"] == "close" else None
    alert = alerts.act_on_alert(house, access, args["id"], args["action"], reason=reason, note=args.get("note") or "")
    return alerts.row(alert)


def _sources_list(house: Installation, access: Access, args: Arguments) -> Any:
    del args
    return [accounts.row(one) for one in accounts.accounts(house, access)]


def _sources_show(house: Installation, access: Access, args: Arguments) -> Any:
    return accounts.row(accounts.account(house, access, args["name"]))


def _deadletters_list(house: Installation, access: Access, args: Arguments) -> Any:
    rows, cursor = deadletters.list_letters(
        house,
        access,
        source=args.get("source") or "",
        state=args.get("state", deadletters.WAITING),
        limit=int(args.get("limit") or 100),
        cursor=args.get("cursor") or "",
    )
    return {"deadletters": rows, "cursor": cursor}


def _deadletters_replay(house: Installation, access: Access, args: Arguments) -> Any:
    done = deadletters.replay(house, access, source=args.get("source") or "", ids=args.get("ids") or ())
    return {"replayed": done.replayed, "stored": done.stored, "still_malformed": done.still_malformed}


def _store_check(house: Installation, access: Access, args: Arguments) -> Any:
    return integrity.check(
        house, access, store=args["store"], deep=bool(args.get("deep")), anchored=args.get("anchored") or ""
    )


OPERATIONS: Mapping[str, Operation] = {
    "alerts.list": Operation(_alerts_list),
    "alerts.show": Operation(_alerts_show),
    "alerts.act": Operation(_alerts_act, writes=True),
    "sources.list": Operation(_sources_list),
    "sources.show": Operation(_sources_show),
    "deadletters.list": Operation(_deadletters_list),
    "deadletters.show": Operation(lambda house, access, args: deadletters.show(house, access, args["id"])),
    "deadletters.replay": Operation(_deadletters_replay, writes=True, content=True),
    "deadletters.drop": Operation(
        lambda house, access, args: {
            "dropped": deadletters.drop(house, access, args["ids"], reason=args.get("reason") or "")
        },
        writes=True,
    ),
    "store.digest": Operation(lambda house, access, args: integrity.digest(house, access)),  # noqa: ARG005
    "store.check": Operation(_store_check),
    "report.mlps": Operation(reports.run, content=True),
    "bulletin.draft": Operation(bulletins.run_draft, writes=True, content=True),
    "bulletin.show": Operation(bulletins.run_show),
    "bulletin.render": Operation(bulletins.run_render),
}
