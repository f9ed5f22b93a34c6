"""`secmon sources`: the exact account of every source."""

from typing import Any

import click

from secmon.cli.output import flush, write_json, write_table
from secmon.cli.session import session

_STATE_ZH = {"ok": "正常", "silent": "静默", "paused": "停用", "failing": "异常"}


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def sources(ctx: click.Context, *, as_json: bool) -> None:
    """Show what every source delivered and what became of it.

    Example: secmon sources list --json
    """
    if ctx.invoked_subcommand is None:
        _list(ctx, as_json=as_json)


@sources.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def list_(ctx: click.Context, *, as_json: bool) -> None:
    """List all sources.

    Example: secmon sources list
    """
    _list(ctx, as_json=as_json)


@sources.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def show(ctx: click.Context, name: str, *, as_json: bool) -> None:
    """Show one source.

    Example: secmon sources show jwxt-nginx
    """
    here = session(ctx)
    found = here.call("sources.show", name=name)
    if as_json:
        write_json(found)
        flush()
    else:
        write_table(("项", "值"), found.items(), color=here.color)


def _list(ctx: click.Context, *, as_json: bool) -> None:
    here = session(ctx)
    rows: list[dict[str, Any]] = here.call("sources.list")
    if as_json:
        for row in rows:
            write_json(row)
        flush()
        return
    write_table(
        ("来源", "类型", "状态", "收到", "入库", "重复", "死信", "丢弃", "在途", "最近收到"),
        (
            (
                row["source"],
                row["kind"],
                _STATE_ZH[row["state"]],
                row["received"],
                row["stored"],
                row["duplicate"],
                row["dead_lettered"],
                sum(row["dropped"].values()),
                row["in_flight"],
                row.get("last_received", "—"),
            )
            for row in rows
        ),
        color=here.color,
    )
