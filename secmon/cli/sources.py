"""`secmon sources`: the exact account of every source."""

from typing import Any

import click

from secmon.cli.output import flush, write_json
from secmon.cli.session import Session, session


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
        here.table(("item", "value"), ((here.words(name), _shown(here, name, value)) for name, value in found.items()))


def _list(ctx: click.Context, *, as_json: bool) -> None:
    here = session(ctx)
    rows: list[dict[str, Any]] = here.call("sources.list")
    if as_json:
        for row in rows:
            write_json(row)
        flush()
        return
    columns = ("received", "stored", "duplicate", "dead-lettered", "dropped", "in flight")
    here.table(("source", "kind", "state", *columns, "last received"), (_cells(here, row) for row in rows))


def _cells(here: Session, row: dict[str, Any]) -> tuple[object, ...]:
    return (
        row["source"],
        row["kind"],
        here.words(row["state"]),
        row["received"],
        row["stored"],
        row["duplicate"],
        row["dead_lettered"],
        sum(row["dropped"].values()),
        row["in_flight"],
        here.time(row.get("last_received")),
    )


def _shown(here: Session, name: str, value: Any) -> str:
    if name == "state":
        return here.words(value)
    if name in {"first_event", "last_event", "last_received"}:
        return here.time(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {number}" for key, number in value.items()) or "—"
    return "; ".join(map(here.message, value)) if isinstance(value, list) else str(value)
