"""`secmon store`: is it whole, what is its digest, and taking it elsewhere."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from secmon.cli.output import flush, write_file, write_json
from secmon.cli.session import Session, local_access, session

if TYPE_CHECKING:
    from secmon.app.move import Progress, Tell


@click.group
def store() -> None:
    """Check the store, print its digest, move it."""


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


@store.command("retention")
@click.option("--confirm-clock", is_flag=True, help="The date is right: let the daily job go on.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object (the default).")
@click.pass_context
def retention(ctx: click.Context, *, confirm_clock: bool, as_json: bool) -> None:
    """Show how long logs are kept, what is due to be dropped, and whether the job waits for you.

    Example: secmon store retention
    """
    del as_json
    write_json(session(ctx).call("store.confirm_clock" if confirm_clock else "store.retention"))
    flush()


@store.command("size")
@click.option(
    "--events-per-second", type=click.FloatRange(min=0, min_open=True), required=True, help="Mean over a day."
)
@click.option("--days", type=click.IntRange(1, 36_500), default=180, show_default=True, help="How long logs are kept.")
@click.option(
    "--kind", type=click.Choice(["access", "syslog", "windows"]), default="access", show_default=True, help="Of log."
)
@click.option("--replicas", type=click.IntRange(0, 5), default=1, show_default=True, help="Copies on a cluster.")
@click.option("--node-disk-gb", type=click.IntRange(10, 1_000_000), default=4_000, show_default=True, help="Of a node.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object (the default).")
def size(*, events_per_second: float, days: int, kind: str, replicas: int, node_disk_gb: int, as_json: bool) -> None:
    """Compute disk, shards and nodes for both stores; nothing is read.

    Example: secmon store size --events-per-second 5000 --days 180
    """
    from secmon.app.sizing import GB, plan  # noqa: PLC0415  only this command needs it

    del as_json
    found = plan(
        events_per_second=events_per_second,
        days=days,
        kind=kind,
        replicas=replicas,
        node_disk_bytes=node_disk_gb * GB,
    )
    write_json(asdict(found))
    flush()


@store.command("move")
@click.option(
    "--to",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Settings of the target store.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object (the default).")
@click.pass_context
def move(ctx: click.Context, *, file: Path, as_json: bool) -> None:
    """Bring everything into the store that FILE.toml names, compare both, and say what was moved.

    Both stores must be out of use. Killed at any moment, the same command goes on. The source is only read.

    Example: secmon store move --to secmon-cluster.toml
    """
    del as_json
    from secmon.app import move as use_case  # noqa: PLC0415  lazily: commands start fast
    from secmon.config import load_settings  # noqa: PLC0415
    from secmon.wiring.moving import opened_for_move  # noqa: PLC0415

    here = session(ctx)
    with opened_for_move(here.settings, load_settings(file)) as (source, target):
        found = use_case.move(source, target, local_access(), tell=_progress(here))
    write_json(found)
    flush()


def _progress(here: Session) -> "Tell":
    """Return what shows how far a move is: one line on a terminal, else a line for every tenth of a step."""
    told: tuple[str, int] = ("", -1)

    def tell(progress: "Progress") -> None:
        nonlocal told
        tenth = 10 * progress.done // max(progress.total, 1)
        text = f"{here.words(progress.step)}: {progress.done:,} / {progress.total:,}"
        if here.quiet:
            return
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{text}", nl=progress.done >= progress.total, err=True)
        elif told != (progress.step, tenth):
            click.echo(text, err=True)
        told = (progress.step, tenth)

    return tell


@store.command("backup")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object (the default).")
@click.pass_context
def backup(ctx: click.Context, *, folder: Path, as_json: bool) -> None:
    """Copy the store into a new backup below FOLDER, while it is in use. Keys are not copied: keep them apart.

    Of a cluster this is a snapshot; all nodes need FOLDER below their path.repo.

    Example: secmon store backup /backup/secmon
    """
    del as_json
    from secmon.clock import SystemClock  # noqa: PLC0415  lazily: commands start fast
    from secmon.wiring.upkeep import backup_store  # noqa: PLC0415

    write_json(backup_store(session(ctx).settings, folder.absolute(), SystemClock().now()))
    flush()


@store.command("restore")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Which backup; the newest if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object (the default).")
@click.pass_context
def restore(ctx: click.Context, *, folder: Path, name: str, as_json: bool) -> None:
    """Bring a backup below FOLDER back, where nothing is stored yet. Its keys have to be there.

    Example: secmon store restore /backup/secmon
    """
    del as_json
    from secmon.wiring.upkeep import restore_store  # noqa: PLC0415  lazily: commands start fast

    write_json(restore_store(session(ctx).settings, folder.absolute(), name))
    flush()


@store.command("migrate")
@click.option("--json", "as_json", is_flag=True, help="One JSON object (the default).")
@click.pass_context
def migrate(ctx: click.Context, *, as_json: bool) -> None:
    """Bring the store to the schema of this program; `secmon up` does it by itself.

    Example: secmon store migrate
    """
    del as_json
    from secmon.wiring.upkeep import migrate_store  # noqa: PLC0415  lazily: commands start fast

    write_json(migrate_store(session(ctx).settings))
    flush()


@store.command("kibana")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write (NDJSON).")
@click.pass_context
def kibana(ctx: click.Context, *, out: Path) -> None:
    """Write data views, searches and a dashboard for Kibana over the indices of store.elasticsearch.prefix.

    Import it under Stack Management, Saved Objects; "overwrite" replaces those of an earlier import.

    Example: secmon store kibana --out secmon.ndjson
    """
    from secmon.wiring.upkeep import kibana_objects  # noqa: PLC0415  lazily: commands start fast

    write_file(out, kibana_objects(session(ctx).settings).hex(), None)
