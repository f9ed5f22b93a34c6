"""`secmon rules reload`: what the rule files say now takes effect in the running daemon."""

from typing import Any

import click

from secmon.cli.output import complain, flush, safe, write_json
from secmon.cli.session import session, user_name
from secmon.errors import ConfigError

EXIT_REFUSED = 1
_STATES = {
    "changed": "rules changed: {added} added, {changed} changed, {removed} removed",
    "unchanged": "nothing has changed",
    "refused": "nothing was changed",
}


@click.command("reload")
@click.option("--accept-empty", is_flag=True, help="A folder that held files and is empty now is meant.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def reload(ctx: click.Context, *, accept_empty: bool, as_json: bool) -> int:
    """Put in force what the files say now: rules, exceptions, overrides, lists, threat intelligence, calendar.

    Asks the running daemon, and tells what changed. A file that was right and is broken now counts as it was before; it
    is named like a new one that is broken, and the exit status is 1. Nothing is lost or worked twice: the next batch of
    each source meets the new rules.

    Example: secmon rules reload
    """
    from secmon.daemon.control import NoDaemonError, request  # noqa: PLC0415  lazily: commands start fast

    here = session(ctx)
    try:
        done: dict[str, Any] = request(
            here.settings.state, "rules.reload", {"accept_empty": accept_empty}, by=user_name()
        )
    except NoDaemonError as error:
        hint = "secmon up reads the files when it starts"
        raise ConfigError("no daemon runs on this state folder", where=error.where, hint=hint) from error
    if as_json:
        write_json(done)
        flush()
    else:
        head = ("what", "kind", "id", "name", "path")
        rows = done["changes"]
        if rows:
            here.table(
                head,
                (
                    (here.words(row["change"]), here.words(row["kind"]), row["id"], row["name"], row["path"])
                    for row in rows
                ),
            )
        numbers = {name: sum(row["change"] == name for row in rows) for name in ("added", "changed", "removed")}
        click.echo(here.words(_STATES[done["state"]]).format(**numbers))
        click.echo(safe(f"{here.words('rule set')}: {done['digest']} ({here.time(done['since'])})"))
    wrong = [*done["refused"], *done["problems"]]
    for problem in wrong:
        complain(problem)
    return EXIT_REFUSED if wrong else 0
