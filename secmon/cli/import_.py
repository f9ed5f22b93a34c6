"""`secmon import`: the whole pipeline into the store, for given files or standard input."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import tzinfo
from typing import Any

import click

from secmon.cli.output import flush, safe, write_json
from secmon.cli.params import ZoneType
from secmon.cli.session import Session, local_access, session, user_name
from secmon.errors import SecmonError
from secmon.model.zone import zone_text

EXIT_FAILED, EXIT_MALFORMED = 1, 5
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command
@click.argument("files", metavar="FILE...|-", nargs=-1, required=True, type=_FILE)
@click.option("--source", required=True, metavar="NAME|KIND", help="A configured source, or a kind.")
@click.option("--zone", type=ZoneType(), help="Time zone of the clock that wrote the log.")
@click.option("--unit", default="", help="Unit of the events, where no asset tells.")
@click.option("--wait/--no-wait", default=True, help="Wait until alerts are up to date.", show_default=True)
@click.option("--strict", is_flag=True, help="Exit status 4, and nothing imported, if a rule or classifier is broken.")
@click.pass_context
def import_(
    ctx: click.Context,
    files: tuple[str, ...],
    *,
    source: str,
    zone: tzinfo | None,
    unit: str,
    wait: bool,
    strict: bool,
) -> int:
    """Import FILE... ("-" is standard input) into the store; a second import is all duplicates.

    Goes through the daemon if one runs on this state folder. Malformed records become dead letters, and the exit
    status is then 5; a file that cannot be read, or not to its end, is named, and the exit status is then 1.

    Example: secmon import --source nginx.access /var/log/nginx/access.log.1.gz
    """
    here = session(ctx)
    args = {
        "source": source,
        "zone": zone_text(zone) if zone else "",
        "unit": unit,
        "files": [name if name == "-" else os.path.abspath(name) for name in files],  # noqa: PTH100  text, not a path
        "wait": wait,
        "strict": strict,
    }
    found = _ask(here, args)
    for warning in found.pop("warnings", ()):
        click.echo(safe(here.message(warning)), err=True)
    unread = found.pop("problems")
    for problem in unread:
        click.echo(safe(here.message(problem)), err=True)
    write_json(found)
    flush()
    if unread:
        return EXIT_FAILED
    if found["dead_lettered"]:
        note = SecmonError(
            "dead letters: {count}", hint="secmon deadletters list", values={"count": found["dead_lettered"]}
        )
        click.echo(note.text(here.words), err=True)
        return EXIT_MALFORMED
    return 0


def _ask(here: Session, args: dict[str, Any]) -> dict[str, Any]:
    from secmon.collect.standard_input import standard_input  # noqa: PLC0415  lazily: commands start fast
    from secmon.daemon.control import NoDaemonError, request  # noqa: PLC0415  the same

    with standard_input() if "-" in args["files"] else nullcontext() as data:
        with suppress(NoDaemonError):
            answer: dict[str, Any] = request(here.settings.state, "import", args, by=user_name(), data=data)
            return answer
        from secmon.daemon.importing import run_import  # noqa: PLC0415  not at all where the daemon does the work

        with _counting(is_shown=sys.stderr.isatty() and not here.quiet) as step:
            return run_import(here.settings, local_access(), args, data=data, step=step)


@contextmanager
def _counting(*, is_shown: bool) -> Iterator[Callable[[Any], None]]:
    """Yield what is told of each committed step: a running count on a terminal, nothing elsewhere."""
    total = 0

    def step(progress: Any) -> None:
        nonlocal total
        total += progress.counts.received
        if is_shown:
            click.echo(f"\r{total:,}", nl=False, err=True)

    try:
        yield step
    finally:
        if is_shown and total:
            click.echo(err=True)
