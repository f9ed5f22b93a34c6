"""`secmon intel`: which indicators of threat intelligence there are, and whether a value is one."""

from collections import Counter
from typing import Any

import click

from secmon.cli.output import complain, flush, write_json
from secmon.cli.session import session
from secmon.clock import SystemClock
from secmon.errors import ContentError
from secmon.model.event import format_time
from secmon.model.indicator import Indicator, Kind, guessed_kind, refanged
from secmon.wiring.content import load_registers
from secmon.wiring.intel import feeds_of, load_indicators
from secmon.wiring.texts import read_intel

EXIT_FOUND = 3


@click.group
def intel() -> None:
    """Show threat intelligence, and ask whether a value is an indicator.

    Example: secmon intel list
    """


@intel.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def list_(ctx: click.Context, *, as_json: bool) -> None:
    """List the files of `intel.files`: how many indicators each holds, how many have expired, and what is wrong.

    Example: secmon intel list --json
    """
    here = session(ctx)
    now = SystemClock().now()
    files, errors = read_intel(here.settings)
    feeds = feeds_of(here.settings, files)
    rows: list[dict[str, Any]] = [
        {
            "path": feed.path,
            "kind": feed.kind,
            "indicators": len(feed.indicators),
            "expired": sum(one.until is not None and one.until <= now for one in feed.indicators),
            "types": dict(sorted(Counter(one.kind.value for one in feed.indicators).items())),
            "skipped": feed.skipped,
            "problems": len(feed.problems) + feed.omitted,
        }
        for feed in feeds
    ]
    if as_json:
        for row in rows:
            write_json(row)
        flush()
    else:
        names = ("path", "kind", "indicators", "expired", "skipped", "problems")
        here.table(names, ([row[name] for name in names] for row in rows))
        if not rows:
            here.note("no files of indicators are named: see [intel] in docs/operations.md")
    for error in (*errors, *(problem for feed in feeds for problem in feed.told)):
        complain(error)


@intel.command("check")
@click.argument("values", nargs=-1, required=True, metavar="VALUE...")
@click.option(
    "--type", "kind", type=click.Choice(list(Kind)), help="What the values are; default: what they look like."
)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines (the default).")
@click.pass_context
def check(ctx: click.Context, values: tuple[str, ...], *, kind: str | None, as_json: bool) -> int:
    """Tell whether values are indicators, one object a match. Exit status 3 if any is.

    Example: secmon intel check 203.0.113.7 login.example.net
    """
    del as_json
    here = session(ctx)
    _, register, _ = load_registers(here.settings)
    files, unread = read_intel(here.settings)
    indicators, problems = load_indicators(here.settings, files, register)
    now, hits = SystemClock().now(), 0
    for text in values:
        value = refanged(text)
        asked = Kind(kind) if kind else guessed_kind(value)
        if asked is None:
            complain(ContentError("this is neither address, domain, URL, hash nor e-mail address", where=text))
        for one in indicators.find(asked, value) if indicators is not None and asked is not None else ():
            hits += one.holds_at(now)
            write_json({"value": text, "expired": not one.holds_at(now), **_row(one)})
    flush()
    for problem in (*map(str, unread), *problems):
        complain(problem)
    return EXIT_FOUND if hits else 0


def _row(one: Indicator) -> dict[str, Any]:
    row = {
        "threat.indicator.type": one.kind.value,
        "threat.indicator.name": one.value,
        "threat.indicator.description": one.name,
        "threat.indicator.confidence": one.confidence,
        "threat.indicator.marking.tlp": one.tlp.value,
        "threat.feed.name": one.source,
        "until": format_time(one.until) if one.until else "",
    }
    return {name: value for name, value in row.items() if value != ""}
