"""`secmon deadletters`: records that could not become events."""

from typing import Any

import click

from secmon.cli.output import flush, safe, write_json
from secmon.cli.session import Session, session
from secmon.cli.shared import state_or_folder

# "dropped" is the head of a column too, and means something else there.
_STATES = {"dropped": "given up"}


@click.group
def deadletters() -> None:
    """List, show, replay and drop dead letters (无法解析的记录)."""


@deadletters.command("list")
@click.option("--source", help="Only of this source.")
@click.option(
    "--state",
    "states",
    multiple=True,
    default=("waiting",),
    show_default=True,
    metavar="waiting|replayed|dropped|DIR/",
    callback=state_or_folder,
    help="Only in this state. With a slash: the state folder.",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Rows a page.")
@click.option("--cursor", help="Go on behind an earlier page.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def list_(
    ctx: click.Context,
    *,
    source: str | None,
    states: tuple[str, ...],
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List dead letters, latest first.

    Example: secmon deadletters list --source jwxt-nginx
    """
    here = session(ctx)
    state = states[-1] if states else "waiting"
    found = here.call("deadletters.list", source=source, state=state, limit=limit, cursor=cursor)
    if as_json:
        for row in found["deadletters"]:
            write_json(row)
        flush()
    else:
        head = ("id", "place", "received", "problem", "attempts", "masked record")
        here.table(head, (_cells(here, row) for row in found["deadletters"]))
    if found["cursor"]:
        click.echo(f"--cursor {found['cursor']}", err=True)


@deadletters.command("show")
@click.argument("letter_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def show(ctx: click.Context, letter_id: str, *, as_json: bool) -> None:
    """Show one dead letter; its raw bytes stay sealed.

    Example: secmon deadletters show 0123456789abcdef0123456789abcdef
    """
    here = session(ctx)
    found = here.call("deadletters.show", id=letter_id)
    if as_json:
        write_json(found)
        flush()
        return
    head = ("id", "place", "received", "problem", "attempts", "masked record")
    for name, value in zip(head, _cells(here, found), strict=True):
        click.echo(safe(f"{here.words(name)}: {value}"))
    click.echo(f"{here.words('state')}: {here.words(_STATES.get(found['state'], found['state']))}")
    for name in ("by", "at", "reason"):
        if found.get(name):
            click.echo(safe(f"{here.words(name)}: {here.words(found[name])}"))  # some reasons are ours


def _cells(here: Session, row: dict[str, Any]) -> tuple[object, ...]:
    problem = here.message(row["problem"])
    return row["deadletter.id"], row["place"], here.time(row["received"]), problem, row["attempts"], row["masked"]


@deadletters.command("replay")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--source", help="All waiting ones of this source.")
@click.pass_context
def replay(ctx: click.Context, ids: tuple[str, ...], *, source: str | None) -> None:
    """Parse dead letters again with today's parsers and rules; without ID or --source all waiting ones.

    Example: secmon deadletters replay --source jwxt-nginx
    """
    if ids and source:
        raise click.UsageError("give ids or --source, not both")
    write_json(session(ctx).call("deadletters.replay", ids=list(ids), source=source))
    flush()


@deadletters.command("drop")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why they are given up; stays with the row.")
@click.pass_context
def drop(ctx: click.Context, ids: tuple[str, ...], *, reason: str) -> None:
    """Give dead letters up; the rows stay with who and why.

    Example: secmon deadletters drop 0123456789abcdef0123456789abcdef --reason "磁盘损坏产生的乱码"
    """
    write_json(session(ctx).call("deadletters.drop", ids=list(ids), reason=reason))
    flush()
