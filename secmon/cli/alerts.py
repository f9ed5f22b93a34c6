"""`secmon alerts`: what to triage, why, and what was decided."""

from typing import Any

import click

from secmon.cli.output import flush, safe, write_json, write_table
from secmon.cli.session import session
from secmon.model.alert import ALERT_STATE_ZH, CLOSE_REASON_ZH, AlertState, CloseReason
from secmon.model.hit import Level

_STATES = click.Choice([state.value for state in AlertState])
_LEVELS = click.Choice([level.value for level in Level])


@click.group
def alerts() -> None:
    """List, show and triage alerts (告警)."""


@alerts.command("list")
@click.option("--state", "states", multiple=True, type=_STATES, help="Only alerts in this state; may be repeated.")
@click.option("--level", "levels", multiple=True, type=_LEVELS, help="Only alerts of this level; may be repeated.")
@click.option("--rule", help="Only alerts of this rule id.")
@click.option("--unit", help="Only alerts that touch this unit.")
@click.option("--asset", help="Only alerts that touch this asset.")
@click.option("--since", help="Only alerts active at or after this time (RFC 3339).")
@click.option("--until", help="Only alerts whose latest activity is before this time (RFC 3339).")
@click.option("--text", help="Only alerts that contain these words.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
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
        write_table(
            ("编号", "级别", "状态", "次数", "最近", "规则", "说明"),
            (
                (
                    row["alert.id"],
                    row["rule.level"],
                    ALERT_STATE_ZH[AlertState(row["alert.state"])],
                    row["alert.count"],
                    row["alert.last"],
                    row.get("rule.title_zh") or row["rule.name"],
                    row["alert.reason"],
                )
                for row in found["alerts"]
            ),
            color=here.color,
        )
    if found["cursor"]:
        click.echo(f"--cursor {found['cursor']}", err=True)


@alerts.command("show")
@click.argument("alert_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def show(ctx: click.Context, alert_id: str, *, as_json: bool) -> None:
    """Show one alert with its events and its history.

    Example: secmon alerts show 0123456789abcdef0123456789abcdef
    """
    found = session(ctx).call("alerts.show", id=alert_id)
    if as_json:
        write_json(found)
        flush()
        return
    for name, value in found.items():
        if name != "alert.history":
            click.echo(f"{name}: {safe(value)}")
    for step in found["alert.history"]:
        parts = (step["at"], step["by"], step["action"], step["to"], step["reason"], step["note"])
        click.echo("  " + safe("  ".join(part for part in parts if part)))


@alerts.command("ack")
@click.argument("alert_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def ack(ctx: click.Context, alert_ids: tuple[str, ...], *, as_json: bool) -> None:
    """Acknowledge alerts; one that is acknowledged already stays as it is.

    Example: secmon alerts ack 0123456789abcdef0123456789abcdef
    """
    here = session(ctx)
    for alert_id in alert_ids:
        _print(here.call("alerts.act", id=alert_id, action="ack"), as_json=as_json)


@alerts.command("close")
@click.argument("alert_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--reason", required=True, type=click.Choice([reason.value for reason in CloseReason]))
@click.option("--note", default="", help="What the next reader should know.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def close(ctx: click.Context, alert_ids: tuple[str, ...], *, reason: str, note: str, as_json: bool) -> None:
    """Close alerts with a reason; new hits may reopen them.

    Example: secmon alerts close 0123456789abcdef0123456789abcdef --reason legitimate --note 年度体检导出
    """
    here = session(ctx)
    for alert_id in alert_ids:
        found = here.call("alerts.act", id=alert_id, action="close", reason=reason, note=note)
        _print(found, as_json=as_json)


def _print(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(row)
        flush()
        return
    reason = row.get("alert.close_reason")
    text = f"（{CLOSE_REASON_ZH[CloseReason(reason)]}）" if reason else ""
    click.echo(f"{row['alert.id']} {ALERT_STATE_ZH[AlertState(row['alert.state'])]}{text}")
