"""`secmon coverage`: what was evaluated, what was not run and why, and the proof of it."""

from pathlib import Path
from typing import Any

import click
import orjson

from secmon.cli.output import complain, flush, safe, write_bytes, write_json
from secmon.cli.params import MomentType
from secmon.cli.session import Session, session
from secmon.errors import SecmonError

HEAD = "coverage.head"
_STATES = {
    "evaluated": "evaluated",
    "re_evaluated": "re_evaluated",
    "no_data": "no_data",
    "not_run": "did not run",
}
"""State of a window → what people read; a check that was "not_run" is another thing."""
_NOTHING = "no window of this time is closed: secmon up closes one an hour"


@click.group(invoke_without_command=True)
@click.option("--rule", help="Only this rule id.")
@click.option("--source", help="Only this source.")
@click.option(
    "--since", type=MomentType(), help="Windows that end after: 7d ago, 2026-09-07, RFC 3339, or all; default 1d."
)
@click.option("--until", type=MomentType(), help="Windows that begin before; a day counts up to its end.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines: one row a rule, source and window.")
@click.pass_context
def coverage(
    ctx: click.Context,
    *,
    rule: str | None,
    source: str | None,
    since: str | None,
    until: str | None,
    as_json: bool,
) -> None:
    """Show what was evaluated, and what was not run and why (覆盖台账).

    Example: secmon coverage --source jwxt-nginx --since 7d
    """
    if ctx.invoked_subcommand is not None:
        return
    here = session(ctx)
    args = {
        "rule": rule,
        "source": source,
        "since": since,
        "until": until,
    }
    if as_json:
        for row in here.call("coverage.rows", **args):
            write_json(row)
        flush()
    elif rule:
        rows = here.call("coverage.rows", **args)
        if not rows:
            here.note(_NOTHING)
        head = ("source", "from", "to", "state", "number of events", "hits", "why", "exceptions")
        here.table(head, (_rule_cells(here, row) for row in rows))
    else:
        found = here.call("coverage.windows", **args)
        columns = ("source", "from", "to", "state", "received", "number of events", "hits", "why")
        here.table(columns, (_cells(here, row) for row in found["rows"]))
        if not found["rows"]:
            here.note(_NOTHING)
        until_text = here.time(found["until"])
        click.echo(safe(here.words("complete up to {time}").format(time=until_text)), err=True)


@coverage.command("verify")
@click.option("--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="An export.")
@click.option("--key", "keys", multiple=True, metavar="HEX", help="Public key whose seals count; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def verify(ctx: click.Context, file: Path | None, keys: tuple[str, ...], *, as_json: bool) -> None:
    """Check the ledger: against itself, its signed seals, and the stored batches.

    Exit status 1 if anything is wrong; the first thing that is wrong is named. With --file it needs no installation.

    Example: secmon coverage verify --file coverage.jsonl --key 1f0c…
    """
    found = _offline(file, keys) if file else _online(session(ctx), keys)
    if as_json:
        write_json(found)
        flush()
    else:
        _print(session(ctx), found)
    if not found["ok"]:
        ctx.exit(1)


@coverage.command("export")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write.")
@click.pass_context
def export(ctx: click.Context, out: Path) -> None:
    """Write the ledger and its seals as JSON Lines, for an auditor to verify without this installation.

    Example: secmon coverage export --out coverage.jsonl
    """
    here = session(ctx)
    lines = [orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in here.call("coverage.export")]
    write_bytes(out, b"".join(lines))


def _online(here: Session, keys: tuple[str, ...]) -> dict[str, Any]:
    head = here.settings.state / HEAD
    anchored = head.read_text(encoding="utf-8", errors="replace") if head.exists() else ""
    found: dict[str, Any] = here.call("coverage.verify", anchored=anchored, trusted=list(keys))
    return found


def _offline(file: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    from secmon.app.coverage_proof import verify_export  # noqa: PLC0415  lazily: commands start fast
    from secmon.store.signing import verifies  # noqa: PLC0415

    if not keys:
        complain(SecmonError("no key is named: seals are checked with their own", hint="name yours with --key"))
    with file.open("rb") as lines:
        return verify_export(str(file), lines, verifies, trusted=keys)


def _print(here: Session, found: dict[str, Any]) -> None:
    if found["ok"]:
        text = here.words("complete up to {time}").format(time=here.time(found["complete_until"]))
        click.echo(safe(text))
        sealed = found["sealed_until"] or "—"
        click.echo(safe(here.words("sealed up to {day}, public key {key}").format(day=sealed, key=_key(found))))
        return
    for problem in found["problems"]:
        click.echo(safe(_problem(here, problem)))


def _key(found: dict[str, Any]) -> str:
    return str(found.get("public", "—"))


def _problem(here: Session, text: str) -> str:
    place, _, how = text.rpartition(": ")
    return f"{place}: {here.words(how)}"


def _cells(here: Session, row: dict[str, Any]) -> tuple[object, ...]:
    return (
        row["source"],
        here.time(row["from"]),
        here.time(row["to"]),
        here.words(_STATES[row["state"]]),
        row["counts"]["received"],
        row["counts"]["events"],
        row["hits"],
        here.words(row["reason"]) if row["reason"] else "",
    )


def _rule_cells(here: Session, row: dict[str, Any]) -> tuple[object, ...]:
    window = row["window"]
    reason = row.get("reason", "")
    return (
        row["source"],
        here.time(window["from"]),
        here.time(window["to"]),
        here.words(_STATES[row["state"]]),
        row["events"],
        row.get("hits", "—"),
        _reason(here, reason),
        ", ".join(row.get("suppressions", ())),
    )


def _reason(here: Session, reason: str) -> str:
    """Return a reason in words: "broken: what is wrong", "disabled: who, until when"."""
    kind, colon, more = reason.partition(": ")
    if kind == "disabled":
        owner, _, until = more.rpartition(", ")
        more = f"{owner}, {here.time(until)}"
    elif kind == "waiting":
        more = here.words(
            "it compares with threat intelligence, and there is none: name files of indicators in intel.files"
        )
    return here.words(kind) + colon + more if kind else ""
