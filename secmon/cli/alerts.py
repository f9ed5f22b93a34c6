"""`secmon alerts`: what to triage, why, and what was decided."""

from typing import Any

import click

from secmon.cli.output import flush, safe, write_json
from secmon.cli.params import LEVELS, MomentType
from secmon.cli.session import Session, session
from secmon.cli.shared import state_or_folder
from secmon.errors import NotFoundError, SecmonError
from secmon.model.alert import AlertState, CloseReason

_STATES = "|".join([*(state.value for state in AlertState), "DIR/"])
_REASONS = click.Choice([reason.value for reason in CloseReason])
_SHOWN = 5


@click.group
def alerts() -> None:
    """List, show and triage alerts (告警)."""


@alerts.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar=_STATES,
    callback=state_or_folder,
    help="Only alerts in this state; may be repeated. With a slash: the state folder.",
)
@click.option("--level", "levels", multiple=True, type=LEVELS, help="Only alerts of this level; may be repeated.")
@click.option("--rule", help="Only alerts of this rule id.")
@click.option("--unit", help="Only alerts that touch this unit.")
@click.option("--asset", help="Only alerts that touch this asset.")
@click.option("--since", type=MomentType(), help="Only alerts active since then: 7d ago, 2026-09-07, RFC 3339.")
@click.option("--until", type=MomentType(), help="Only alerts before then; a day counts up to its end.")
@click.option("--text", help="Only alerts that contain these words.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Rows a page.")
@click.option("--cursor", help="Go on behind an earlier page.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def list_(ctx: click.Context, /, *, as_json: bool, **filters: Any) -> None:
    """List alerts, latest activity first.

    Example: secmon alerts list --state new --level high
    """
    here = session(ctx)
    found = here.call("alerts.list", **filters)
    if as_json:
        for row in found["alerts"]:
            write_json(row)
        flush()
    else:
        head = ("id", "level", "state", "count", "latest", "rule", "what happened")
        here.table(head, (_cells(here, row) for row in found["alerts"]))
        if not found["alerts"]:
            here.note("no alert matches")
    if found["cursor"]:
        click.echo(f"--cursor {found['cursor']}", err=True)


@alerts.command("show")
@click.argument("alert_id", metavar="ID")
@click.option(
    "--revision", type=click.IntRange(min=1), help="As it stood then, where late events took some of it back."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def show(ctx: click.Context, alert_id: str, *, revision: int | None, as_json: bool) -> None:
    """Show one alert with its events and its history.

    Example: secmon alerts show 0123456789abcdef0123456789abcdef
    """
    here = session(ctx)
    found = here.call("alerts.show", id=alert_id, revision=revision)
    if as_json:
        write_json(found)
        flush()
        return
    _print_details(here, found)


@alerts.command("ack")
@click.argument("alert_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def ack(ctx: click.Context, alert_ids: tuple[str, ...], *, as_json: bool) -> None:
    """Acknowledge alerts; one that is acknowledged already stays as it is.

    Example: secmon alerts ack 0123456789abcdef0123456789abcdef
    """
    _act(session(ctx), alert_ids, "ack", as_json=as_json)


@alerts.command("close")
@click.argument("alert_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--reason", required=True, type=_REASONS, help="Why; one of the vocabulary.")
@click.option("--note", default="", help="What the next reader should know.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def close(ctx: click.Context, alert_ids: tuple[str, ...], *, reason: str, note: str, as_json: bool) -> None:
    """Close alerts with a reason; new hits may reopen them.

    Example: secmon alerts close 0123456789abcdef0123456789abcdef --reason legitimate --note 年度体检导出
    """
    _act(session(ctx), alert_ids, "close", as_json=as_json, reason=reason, note=note)


def _act(here: Session, alert_ids: tuple[str, ...], action: str, *, as_json: bool, **args: str) -> None:
    """Do one action on several alerts; one that is not there does not stop the others.

    Raises:
        SecmonError: one of them, or more, could not be done.
    """
    refused = 0
    for alert_id in alert_ids:
        try:
            row = here.call("alerts.act", id=alert_id, action=action, **args)
        except SecmonError as error:
            if len(alert_ids) == 1 or not _is_about_one(error):
                raise
            click.echo(safe(f"{alert_id}: {error.text(here.words)}"), err=True)
            refused += 1
            continue
        _print(here, row, as_json=as_json)
    if refused:
        raise SecmonError("alerts that could not be changed: {count}", values={"count": refused})


def _is_about_one(error: SecmonError) -> bool:
    """Tell whether the next alert may fare better: not if the store or the daemon is away."""
    return error.exit_status == NotFoundError.exit_status


def _cells(here: Session, row: dict[str, Any]) -> tuple[object, ...]:
    return (
        row["alert.id"],
        here.words(row["rule.level"]),
        _state(here, row),
        row["alert.count"],
        here.time(row["alert.last"]),
        here.title(row),
        row["alert.reason"],
    )


def _state(here: Session, row: dict[str, Any]) -> str:
    """Return the state of an alert, and that late events withdrew it."""
    withdrawn = f" ({here.words('withdrawn')})" if row.get("alert.withdrawn") else ""
    return f"{here.words(row['alert.state'])}{withdrawn}"


def _print_details(here: Session, found: dict[str, Any]) -> None:
    lines: dict[str, object] = {
        "id": found["alert.id"],
        "rule": f"{here.title(found)} ({found['rule.id']})",
        "level": here.words(found["rule.level"]),
        "state": _state(here, found),
        "revision": found["alert.revision"],
        "count": found["alert.count"],
        "first": here.time(found["alert.first"]),
        "latest": here.time(found["alert.last"]),
        "what happened": found["alert.reason"],
        "grouped by": ", ".join(f"{name}={value}" for name, value in found["alert.group"].items()),
        "unit": found.get("unit.id", "—"),
        "asset": found.get("asset.id", "—"),
        "techniques": ", ".join(found["threat.technique.id"]) or "—",
        "controls": ", ".join(found["control.id"]) or "—",
        "data classes": ", ".join(found["data.classes"]) or "—",
        "events": _events(here, found),
    }
    for name, value in lines.items():
        click.echo(safe(f"{here.words(name)}: {value}"))
    click.echo(f"{here.words('history')}:")
    for step in found["alert.history"]:
        parts = (here.time(step["at"]), step["by"], here.words(step["action"]), here.words(step["to"]))
        reason = "" if step["reason"] == "first" else step["reason"]  # the action says as much
        why = (here.words(reason) if reason else "", step["note"])
        click.echo("  " + safe("  ".join(part for part in (*parts, *why) if part)))
    if found["alert.events"] and not here.quiet:
        say = here.words("an event and its neighbours: secmon search 'event.id:{id}' --since all")
        click.echo(safe(say.format(id=found["alert.events"][0])), err=True)


def _events(here: Session, found: dict[str, Any]) -> str:
    """Return how many log records an alert rests on, and the ids of some of them."""
    ids = found["alert.events"][:_SHOWN]
    if not ids:
        return "0"
    say = here.words("{count}, some of them: {ids}")
    return say.format(count=f"{found['alert.events_total']:,}", ids=", ".join(ids))


def _print(here: Session, row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(row)
        flush()
        return
    reason = row.get("alert.close_reason")
    text = f" ({here.words(reason)})" if reason else ""
    click.echo(f"{row['alert.id']} {here.words(row['alert.state'])}{text}")
