"""`secmon search`: events that match a query, their spread over time, the values of their fields."""

from typing import Any

import click

from secmon.cli.output import flush, safe, write_json
from secmon.cli.session import Session, session
from secmon.errors import SearchStoppedError

_COLUMNS = "@timestamp,event.dataset,event.action,user.name,source.ip,message"
_MAX_CELL = 200


@click.command
@click.argument("query", default="")
@click.option("--since", default="24h", show_default=True, help="From: 24h or 7d ago, 2026-09-07, RFC 3339, or all.")
@click.option("--until", default="", help="Until; a day counts up to its end. Default: now.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Events a page.")
@click.option("--cursor", help="Go on behind an earlier page.")
@click.option("--fields", default=_COLUMNS, metavar="A,B", help="Fields to show; with --json all, unless given.")
@click.option("--histogram", metavar="LENGTH", help="Events by intervals of 5m, 1h, 1d … instead of the events.")
@click.option("--stats", multiple=True, metavar="FIELD", help="The values of a field instead; may be repeated.")
@click.option("--top", type=click.IntRange(1, 1_000), default=10, show_default=True, help="Values of a field.")
@click.option("--timeout", type=click.IntRange(1, 3_600), default=60, show_default=True, help="Most seconds.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def search(ctx: click.Context, /, query: str, fields: str, *, as_json: bool, **given: Any) -> None:
    """Search events, newest first (检索日志); docs/search.md has the language.

    Example: secmon search 'user.name:alice and source.ip:192.0.2.0/24' --since 7d
    """
    here = session(ctx)
    summing = bool(given["histogram"] or given["stats"])
    args = {
        "query": query,
        "since": given["since"],
        "until": given["until"],
        "limit": 0 if summing else given["limit"],
        "cursor": given["cursor"],
        "interval": given["histogram"],
        "fields": list(given["stats"]),
        "size": given["top"],
        "seconds": given["timeout"],
    }
    begun = here.call("search.begin", **args)
    # What "24h" means was settled there: both parts look at the same time range.
    args |= {"since": begun.get("since", "all"), "until": begun.get("until", "")}
    _say_scanning(here, begun["scanning"])
    found = here.call("search.run", **args)
    chosen = [name for name in fields.split(",") if name]
    if summing:
        _print_sums(here, found, as_json=as_json)
    elif as_json:
        only = set(chosen) if ctx.get_parameter_source("fields") is click.core.ParameterSource.COMMANDLINE else None
        for event in found["events"]:
            write_json({name: value for name, value in event.items() if only is None or name in only})
        flush()
    else:
        rows = ([_cell(here, name, _value(event, name)) for name in chosen] for event in found["events"])
        here.table(chosen, rows)
    _say_rest(here, found)


def _value(event: dict[str, Any], name: str) -> Any:
    """Return a field of an event; for a record without a message, such as a line of a web server, the record itself."""
    found = event.get(name)
    return event.get("event.original") if found is None and name == "message" else found


def _cell(here: Session, name: str, value: Any) -> object:
    if value is None:
        return "—"
    if name == "@timestamp":
        return here.time(value)
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _MAX_CELL else f"{text[:_MAX_CELL]}…"


def _print_sums(here: Session, found: dict[str, Any], *, as_json: bool) -> None:
    statistics = [{"field": one["field"], **value} for one in found["statistics"] for value in one["values"]]
    if as_json:
        for row in (*found["histogram"], *statistics):
            write_json(row)
        flush()
        return
    if found["histogram"] or not statistics:
        here.table(("time", "number of events"), ((here.time(one["at"]), one["count"]) for one in found["histogram"]))
    if statistics:
        here.table(("field", "value", "number of events"), (tuple(one.values()) for one in statistics))


def _tell(here: Session, text: str) -> None:
    if not here.quiet:
        click.echo(safe(text), err=True)


def _say_scanning(here: Session, scanning: list[str]) -> None:
    if scanning:
        names = ", ".join(name or here.words("words of any text") for name in scanning)
        say = here.words("scanning: no index answers {names}, so events are read one by one")
        _tell(here, say.format(names=names))


def _say_rest(here: Session, found: dict[str, Any]) -> None:
    """Say what the rows alone do not tell.

    Raises:
        SearchStoppedError: the time was up; what was printed is not all.
    """
    if found["scanning"]:
        _tell(here, here.words("events read: {count}").format(count=found["read"]))
    for one in found.get("statistics", ()):
        if not one["exact"]:
            say = here.words("{field} has more different values than are counted")
            _tell(here, say.format(field=one["field"]))
    if found["cursor"]:
        click.echo(f"--cursor {found['cursor']}", err=True)
    if not found["complete"]:
        raise SearchStoppedError(
            "not complete: looked back to {reached}, events read: {count}",
            hint="allow more time with --timeout, or ask for a shorter time range",
            values={"reached": here.time(found.get("reached")), "count": found["read"]},
        )
    if not (found["events"] or found.get("count") or found["cursor"]):
        _tell(here, here.words("no event matches in this time range"))
