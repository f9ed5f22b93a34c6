"""`secmon rules baselines`: what baselines follow, and what they still learn."""

from typing import Any

import click

from secmon.cli.output import flush, write_json
from secmon.cli.session import session


@click.command("baselines")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def baselines(ctx: click.Context, *, as_json: bool) -> None:
    """Show each baseline rule: groups that it follows, learns still, could not see (out of sight), and cannot keep.

    Example: secmon rules baselines --json
    """
    here = session(ctx)
    rows: list[dict[str, Any]] = here.call("rules.baselines")
    if as_json:
        for row in rows:
            write_json({name: value for name, value in row.items() if value != ""})
        flush()
        return
    cells = [
        (
            here.title(row),
            here.words(row["type"]),
            *(row.get(name, "—") for name in ("groups", "learning", "hidden", "overflow")),
            here.time(row.get("at")),
        )
        for row in rows
    ]
    here.table(("rule", "type", "groups", "learning", "out of sight", "overflow", "as of"), cells)
