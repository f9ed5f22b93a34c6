"""`secmon import`: the whole pipeline into the store, for given files or standard input."""

import os
import sys
from contextlib import suppress
from datetime import tzinfo
from typing import Any

import click

from secmon.cli.output import flush, write_json
from secmon.cli.params import ZoneType
from secmon.cli.session import Session, local_access, session
from secmon.model.zone import zone_text

EXIT_MALFORMED = 5


@click.command
@click.argument("files", metavar="FILE...|-", nargs=-1, required=True)
@click.option("--source", required=True, metavar="NAME|KIND", help="A configured source, or a kind.")
@click.option("--zone", type=ZoneType(), help="Time zone of the clock that wrote the log.")
@click.option("--unit", default="", help="Unit of the events, where no asset tells.")
@click.option("--wait/--no-wait", default=True, help="Wait until alerts are up to date.", show_default=True)
@click.pass_context
def import_(
    ctx: click.Context, files: tuple[str, ...], *, source: str, zone: tzinfo | None, unit: str, wait: bool
) -> int:
    """Import FILES (- for standard input) into the store; a second import is all duplicates.

    Example: secmon import --source nginx.access /var/log/nginx/access.log.1.gz
    """
    here = session(ctx)
    args = {
        "source": source,
        "zone": zone_text(zone) if zone else "",
        "unit": unit,
        "files": [name if name == "-" else os.path.abspath(name) for name in files],  # noqa: PTH100  text, not a path
        "wait": wait,
    }
    found = _ask(here, args)
    for problem in found.pop("problems"):
        click.echo(problem, err=True)
    write_json(found)
    flush()
    return EXIT_MALFORMED if found["dead_lettered"] else 0


def _ask(here: Session, args: dict[str, Any]) -> dict[str, Any]:
    from secmon.daemon.control import NoDaemonError, request  # noqa: PLC0415  lazily: commands start fast
    from secmon.daemon.importing import run_import  # noqa: PLC0415

    data = sys.stdin.buffer if "-" in args["files"] else None
    with suppress(NoDaemonError):
        answer: dict[str, Any] = request(here.settings.state, "import", args, by="import", data=data)
        return answer
    return run_import(here.settings, local_access(), args, data=data, progress=not here.quiet)
