"""`secmon store`: is it whole, and what is its digest."""

import click

from secmon.cli.output import flush, write_json
from secmon.cli.session import session


@click.group
def store() -> None:
    """Check the store and print its digest."""


@store.command("check")
@click.option("--deep", is_flag=True, help="Read everything, not only what the store says of itself.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object (the default).")
@click.pass_context
def check(ctx: click.Context, *, deep: bool, as_json: bool) -> int:
    """Check the store's integrity and the audit chain; exit 1 if anything is wrong.

    Example: secmon store check --deep
    """
    del as_json
    here = session(ctx)
    head = here.settings.state / "audit.head"
    anchored = head.read_text(encoding="utf-8", errors="replace") if head.exists() else ""
    found = here.call("store.check", store=here.settings["store.kind"], deep=deep, anchored=anchored)
    write_json(found)
    flush()
    return 0 if found["ok"] else 1


@store.command("digest")
@click.option("--json", "as_json", is_flag=True, help="One JSON object (the default).")
@click.pass_context
def digest(ctx: click.Context, *, as_json: bool) -> None:
    """Print SHA-256 over the sorted sets of events, hits, findings and alerts.

    Example: secmon store digest
    """
    del as_json
    write_json(session(ctx).call("store.digest"))
    flush()
