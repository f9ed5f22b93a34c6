"""`secmon rules cost`: which rules cost most, and why."""

from collections.abc import Iterator
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from secmon.cli.output import complain, flush, safe, write_json
from secmon.cli.params import AUTO, KindType
from secmon.cli.session import Session, local_access, session
from secmon.clock import SystemClock

if TYPE_CHECKING:
    from secmon.model.event import Event

_ZONE = ZoneInfo("Asia/Shanghai")


@click.command("cost")
@click.argument("files", nargs=-1, metavar="[FILE...]", type=click.Path(exists=True, dir_okay=False))
@click.option("--source", type=KindType(auto=True), default=AUTO, show_default=True, help="Kind of the files.")
@click.option("--since", default="24h", show_default=True, help="Stored events from then on; or all.")
@click.option("--events", type=click.IntRange(1, 1_000_000), default=20_000, show_default=True, help="Most events.")
@click.option("--top", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Most rules.")
@click.option(
    "--timeout", type=click.IntRange(1, 3_600), default=60, show_default=True, help="Most seconds of reading."
)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def cost(ctx: click.Context, /, files: tuple[str, ...], *, top: int, events: int, as_json: bool, **given: Any) -> None:
    """Measure what each rule costs, over FILE... or else the latest stored events: a run of its own, the dearest first.

    Example: secmon rules cost --top 10
    """
    from secmon.app import costs  # noqa: PLC0415  lazily: commands start fast
    from secmon.store.cache import user_cache  # noqa: PLC0415
    from secmon.store.prepared import Prepared  # noqa: PLC0415
    from secmon.wiring import load_rule_set  # noqa: PLC0415

    here, compiler = session(ctx), Prepared(user_cache()).compile
    ruleset, problems = load_rule_set(here.settings)
    for problem in problems:
        complain(problem)
    found = _of_files(files, given["source"]) if files else _stored(here, given["since"], given["timeout"], events)
    measured, seen = costs.measure(ruleset, islice(found, events), perf_counter, compiler=compiler)
    rows = costs.rows(measured, top=top)
    if as_json:
        for row in rows:
            write_json(row)
        flush()
    else:
        _print_table(here, rows)
    if not here.quiet:
        click.echo(safe(here.words("{count} events").format(count=f"{seen:,}")), err=True)


def _of_files(files: tuple[str, ...], source: str) -> "Iterator[Event]":
    """Yield the events of files, unmasked, as `detect` reads them."""
    from secmon.collect.oneshot import open_reading  # noqa: PLC0415  lazily, see above
    from secmon.pipeline import parse_frames  # noqa: PLC0415

    now = SystemClock().now()
    for path in files:
        reading = open_reading(path, source=source, zone=_ZONE)
        for frames in reading.frames:
            parsed = parse_frames(frames, reading.lane, now=now)
            yield from (event for event, _, _ in parsed.events)


def _stored(here: Session, since: str, seconds: int, limit: int) -> "Iterator[Event]":
    from secmon.app import costs  # noqa: PLC0415  lazily, see above
    from secmon.app.search import time_from  # noqa: PLC0415
    from secmon.wiring import opened  # noqa: PLC0415

    with opened(here.settings, writable=False, content=False) as house:
        begin = time_from(since, house.clock.now(), house.zone)
        yield from costs.stored(house, local_access(), since=begin, seconds=seconds, limit=limit)


def _print_table(here: Session, rows: list[dict[str, Any]]) -> None:
    from secmon.app import costs  # noqa: PLC0415  lazily, see above

    head = ("id", "rule", "events", "evaluations", "hits", "seconds", "share", "atoms without index", "why")
    cells = (
        (
            row["rule.id"],
            here.title(row),
            row["events"],
            row["evaluations"],
            row["hits"],
            f"{row['seconds']:.4f}",
            f"{row['share']:.1%}",
            row["atoms_without_index"],
            "; ".join(_told(here, one) for one in row["why"]),
        )
        for row in rows
    )
    here.table(head, cells)
    if not here.quiet:
        for reason in dict.fromkeys(one.partition(": ")[0] for row in rows for one in row["why"]):
            click.echo(safe(f"{here.words(reason)}: {here.words(costs.REMEDIES[reason])}"), err=True)


def _told(here: Session, reason: str) -> str:
    kind, parted, name = reason.partition(": ")
    return here.words(kind) + parted + name
