"""`secmon tuning`: what quiets alerts, what should be looked after, and what a change would have done."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from secmon.cli.output import complain, flush, safe, write_file, write_json
from secmon.cli.session import Session, local_access, session
from secmon.content import read_files
from secmon.sigma.rule import RuleFile, RuleSet

EXIT_FAILED, EXIT_NOT_READY = 1, 4
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
STATES = ("active", "expiring", "expired", "pending", "broken")
_SHOWN = 20
_HITS = {
    "examined": "hits examined",
    "covered": "hits covered",
    "released": "hits released",
    "undecided": "hits undecided",
}
_ALERTS = {
    "vanishes": "alerts: vanishes",
    "shrinks": "alerts: shrinks",
    "appears": "alerts: appears",
    "grows": "alerts: grows",
}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group
def tuning() -> None:
    """Exceptions, overrides of rules and maintenance windows (调优): list, check and try them.

    Example: secmon tuning preview exception.yml --since 30d
    """


@tuning.command("list")
@click.option("--only", "states", multiple=True, type=click.Choice(STATES), help="Only in these states.")
@click.option(
    "--days", type=click.IntRange(1, 3_660), default=30, show_default=True, help="Count hits of so many days."
)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def list_(ctx: click.Context, states: tuple[str, ...], *, days: int, as_json: bool) -> None:
    """List what tunes the rules of the settings, with its state and the hits that it suppressed.

    Example: secmon tuning list --only expiring --only expired
    """
    here = session(ctx)
    rows = here.call("tuning.list", states=list(states), days=days)
    if as_json:
        for row in rows:
            write_json(row)
        flush()
        return
    head = ("id", "what", "state", "name", "rules", "until", "hits", "owner")
    here.table(head, (_cells(here, row) for row in rows))
    if not rows:
        here.note("nothing quiets alerts here; secmon tuning draft makes a draft of an exception")
    for row in rows:
        if "problem" in row:
            complain(row["problem"])


@tuning.command("show")
@click.argument("identity", metavar="ID")
@click.option(
    "--days", type=click.IntRange(1, 3_660), default=30, show_default=True, help="Count hits of so many days."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def show(ctx: click.Context, identity: str, *, days: int, as_json: bool) -> None:
    """Show one exception, override or maintenance window; also one that was taken away, as long as it is kept.

    Example: secmon tuning show 6f0b6ab8-6f0e-4b0c-9a54-5f2f6a3c1d20
    """
    here = session(ctx)
    row = here.call("tuning.show", id=identity, days=days)
    if as_json:
        write_json(row)
        flush()
        return
    for name, value in _lines(here, row).items():
        click.echo(safe(f"{here.words(name)}: {value}"))
    for day, number in row.get("suppression.days", {}).items():
        click.echo(f"  {day}  {number:,}")
    if row.get("rule.id"):
        titles = row.get("rule.titles", {})
        here.table(("id", "rule"), ((rule, titles.get(rule, "—")) for rule in row["rule.id"]))
    if row.get("suppression.hits"):
        here.note("secmon tuning hits shows what was suppressed")


@tuning.command("hits")
@click.argument("identity", metavar="ID")
@click.option("--since", default="30d", show_default=True, help="From: 24h or 180d ago, 2026-09-07, RFC 3339, or all.")
@click.option("--until", default="", help="Until; a day counts up to its end. Default: now.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most hits.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def hits(ctx: click.Context, identity: str, *, since: str, until: str, limit: int, as_json: bool) -> None:
    """Show what one exception, disabled rule or maintenance window suppressed: the hits, with the ids of their events.

    Example: secmon tuning hits 6f0b6ab8-6f0e-4b0c-9a54-5f2f6a3c1d20 --since 7d
    """
    here = session(ctx)
    found = here.call("tuning.hits", id=identity, since=since, until=until, limit=limit)
    if as_json:
        for row in found["hits"]:
            write_json(row)
        flush()
    else:
        head = ("time", "rule", "group", "log record")
        here.table(head, (_hit_cells(here, row) for row in found["hits"]))
        if not found["hits"]:
            here.note("nothing was suppressed in this time range")
        elif not here.quiet:
            say = here.words("an event and its neighbours: secmon search 'event.id:{id}' --since all")
            click.echo(safe(say.format(id=found["hits"][0]["event.id"])), err=True)
    if found["more"]:
        here.note("there are more hits than --limit allows")


def _hit_cells(here: Session, row: dict[str, Any]) -> tuple[object, ...]:
    group = ", ".join(f"{name}={value}" for name, value in row["secmon.group"].items())
    return here.time(row["@timestamp"]), here.title(row), group or "—", row["event.id"]


@tuning.command("check")
@click.argument("files", nargs=-1, metavar="[FILE...]", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def check(ctx: click.Context, files: tuple[Path, ...], *, as_json: bool) -> int:
    """Name what is broken, has expired, expires within 14 days, or is for units and assets that are not registered.

    In the settings, or in FILE... beside their rules. Exit status 1 if there is anything.

    Example: secmon tuning check exception.yml
    """
    from secmon.app.tuning import problems, unregistered  # noqa: PLC0415  lazily: pySigma takes a second
    from secmon.clock import SystemClock  # noqa: PLC0415
    from secmon.wiring.content import load_registers  # noqa: PLC0415

    here = session(ctx)
    ruleset = _ruleset(here, files)
    tree, register, _ = load_registers(here.settings)
    named = {str(path) for path in files}
    every = [*problems(ruleset, SystemClock().now()), *unregistered(ruleset, tree.units, register.assets)]
    found = [text for text in every if not named or text.startswith(_places(named))]
    found += [one.text for one in ruleset.problems if one.path in named and one.text not in found]
    for text in found:
        if as_json:
            write_json({"problem": text})
        else:
            complain(text)
    flush()
    return EXIT_FAILED if found else 0


@tuning.command("preview")
@click.argument("file", metavar="FILE", type=_FILE)
@click.option("--since", default="30d", show_default=True, help="From: 24h or 180d ago, 2026-09-07, RFC 3339, or all.")
@click.option("--until", default="", help="Until; a day counts up to its end. Default: now.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def preview(ctx: click.Context, file: Path, *, since: str, until: str, as_json: bool) -> int:
    """Show what the exceptions in FILE would have done to stored history (影响预览): hits, alerts, controls.

    Nothing is written. Every stored hit of the time range is decided again, on the event as it is stored.

    Example: secmon tuning preview exception.yml --since 30d
    """
    from secmon.app.preview import preview as run  # noqa: PLC0415  lazily: commands start fast
    from secmon.app.preview import proposal_of  # noqa: PLC0415
    from secmon.app.search import time_from  # noqa: PLC0415
    from secmon.wiring import opened  # noqa: PLC0415

    here = session(ctx)
    ruleset = _ruleset(here, (file,))
    wrong = [problem for problem in ruleset.problems if problem.path == str(file)]
    for problem in wrong:
        complain(problem.text)
    if wrong:
        return EXIT_NOT_READY
    with opened(here.settings, writable=False, content=False) as house:
        now = house.clock.now()
        start = time_from(since, now, house.zone) or EARLIEST
        end = time_from(until, now, house.zone, is_end=True) or now
        found = run(house, local_access(), proposal_of(ruleset, str(file), start, end))
    if as_json:
        write_json(found)
        flush()
    else:
        _print_preview(here, found)
    return 0


@tuning.command("draft")
@click.option("--alert", required=True, metavar="ID", help="The alert.")
@click.option("--out", type=click.Path(path_type=Path), help="File; default: standard output.")
@click.pass_context
def draft(ctx: click.Context, *, alert: str, out: Path | None) -> None:
    """Draft an exception for the group of an alert; it suppresses nothing until somebody completes it.

    Example: secmon tuning draft --alert 0123456789abcdef0123456789abcdef --out exception.yml
    """
    text = session(ctx).call("tuning.draft", alert=alert)["draft"]
    if out is None:
        click.echo(text, nl=False)
    else:
        write_file(out, text.encode().hex(), None)


def _ruleset(here: Session, files: tuple[Path, ...]) -> RuleSet:
    """Return the rules of the settings, with some files beside them; a file that lies there already is read once.

    Raises:
        ContentError: one of the files cannot be read, or a pipeline is wrong.
    """
    from secmon.sigma.ruleset import load_rules  # noqa: PLC0415  lazily: pySigma takes a second
    from secmon.wiring.texts import rule_texts  # noqa: PLC0415

    texts, _ = rule_texts(here.settings)
    found, errors = read_files(list(files), "*.yml")
    if errors:
        raise errors[0]
    known = {path.resolve() for path in files}
    others = [one for one in texts.files if Path(one.path).resolve() not in known]
    return load_rules(
        [*others, *(RuleFile(*each) for each in found)], pipelines=texts.pipelines, placeholders=texts.lists
    )


def _places(paths: set[str]) -> tuple[str, ...]:
    return tuple(f"{path}:" for path in paths)


def _cells(here: Session, row: dict[str, Any]) -> tuple[object, ...]:
    rules = row.get("rule.id")
    return (
        row["suppression.id"],
        here.words(row["suppression.kind"]),
        here.words(row["suppression.state"]),
        row["suppression.name"],
        "—" if rules is None else len(rules) or here.words("all"),
        here.time(row.get("suppression.until")),
        row.get("suppression.hits", "—"),
        row.get("suppression.owner", "—"),
    )


def _lines(here: Session, row: dict[str, Any]) -> dict[str, object]:
    lines: dict[str, object] = {
        "id": row["suppression.id"],
        "what": here.words(row["suppression.kind"]),
        "state": here.words(row["suppression.state"]),
        "name": row["suppression.name"],
        "owner": row.get("suppression.owner", "—"),
        "approver": row.get("suppression.approver", "—"),
        "reason": row.get("suppression.reason", "—"),
        "since": here.time(row.get("suppression.since")),
        "until": here.time(row.get("suppression.until")),
        "unit": ", ".join(row.get("unit.id", ())) or here.words("all"),
        "asset": ", ".join(row.get("asset.id", ())) or here.words("all"),
        "rules": len(row.get("rule.id", ())) or here.words("all"),
        "path": row.get("path", "—"),
    }
    if changes := row.get("suppression.changes"):
        lines["changes"] = ", ".join(f"{key}={value}" for key, value in changes.items())
    if "problem" in row:
        lines["problem"] = here.message(row["problem"])
    if "suppression.hits" in row:
        lines["hits"] = f"{row['suppression.hits']:,}"
    return lines


def _print_preview(here: Session, found: dict[str, Any]) -> None:
    say, hits, alerts = here.words, found["hits"], found["alerts"]
    click.echo(f"{here.time(found['from'])} – {here.time(found['to'])}")
    for one in found["suppressions"]:
        told = say("hits: {hits}, rules: {rules}").format(hits=f"{one['hits']:,}", rules=one["rules"])
        click.echo(safe(f"{say(one['suppression.kind'])} {one['suppression.name']}: {told}"))
    for name, text in _HITS.items():
        if hits[name] or name in {"examined", "covered"}:
            click.echo(f"{say(text)}: {hits[name]:,}")
    for name, text in _ALERTS.items():
        click.echo(f"{say(text)}: {alerts[name]:,}")
    rows = found["alert_rows"]
    if rows:
        head = ("id", "what", "before", "after", "rule")
        cells = ((row["alert.id"], say(row["change"]), row["before"], row["after"], here.title(row)) for row in rows)
        here.table(head, list(cells)[:_SHOWN])
        if len(rows) > _SHOWN:
            click.echo(say("… and {count} more; see --json").format(count=len(rows) - _SHOWN))
    lost = [row for row in found["controls"] if row["state"] != "covered"]
    for row in lost:
        counts = say("hits {before} → {after}").format(before=row["hits_before"], after=row["hits_after"])
        if "alerts_before" in row:
            told = say("alerts {before} → {after}").format(before=row["alerts_before"], after=row["alerts_after"])
            counts = f"{told}, {counts}"
        click.echo(safe(f"{row['control.id']}: {say(row['state'])} ({counts})"))
    if not lost:
        click.echo(say("no control loses its coverage"))
