"""`secmon rules scorecard` and `secmon rules navigator`: how rules do, and what they look for."""

from pathlib import Path
from typing import Any

import click

from secmon.cli.output import complain, flush, safe, write_file, write_json
from secmon.cli.session import Session, session
from secmon.clock import SystemClock
from secmon.model.alert import CloseReason

_NEVER = {
    "no_source": "never fired: no source sends such events",
    "no_events": "never fired: no such events",
    "no_field": "never fired: no event has the field",
    "too_few": "never fired: too few events to say whether the field ever comes",
    "no_intelligence": "never fired: no threat intelligence",
    "quiet": "never fired: nothing like it",
    "not_asked": "never fired: no time to ask why",
    "broken": "broken",
    "unroutable": "unroutable",
}
_DAY_S, _HOUR_S, _MINUTE_S = 86_400, 3_600, 60


@click.command("scorecard")
@click.option("--since", default="30d", show_default=True, help="From: 30d ago, 2026-09-07, RFC 3339, or all.")
@click.option("--until", default="", help="Until; a day counts up to its end. Default: now.")
@click.option("--rule", default="", metavar="ID", help="This rule only.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def scorecard(ctx: click.Context, *, since: str, until: str, rule: str, as_json: bool) -> None:
    """Show what became of each rule's alerts (规则评分): precision, times, noise, and why some never fired.

    Example: secmon rules scorecard --since 90d
    """
    here = session(ctx)
    found = here.call("rules.scorecard", since=since, until=until, rule=rule)
    if as_json:
        for row in found["scores"]:
            write_json(row)
        flush()
    else:
        _print_table(here, found["scores"])
    if not found["complete"]:
        complain("not all alerts of this time range were read: ask for a shorter one")


def _print_table(here: Session, scores: list[dict[str, Any]]) -> None:
    head = (
        "id",
        "rule",
        "alerts",
        "hits",
        "open",
        "false alarms",
        "precision",
        "until seen",
        "until closed",
        "last",
        "note",
    )
    here.table(head, [_cells(here, row) for row in scores])


def _cells(here: Session, row: dict[str, Any]) -> tuple[object, ...]:
    wrong = row["reasons"].get(CloseReason.FALSE_POSITIVE.value, 0) + row["reasons"].get(
        CloseReason.LEGITIMATE.value, 0
    )
    precision = f"{row['precision']:.0%}" if "precision" in row else "—"
    why = row.get("never_fired", "")
    note = here.words(_NEVER[why]) if why else "" if row["state"] == "active" else here.words(row["state"])
    if "never_fired_field" in row:
        note += f" {row['never_fired_field']}"
    return (
        row["rule.id"],
        here.title(row),
        row["alerts"],
        row["hits"],
        row["open"],
        wrong,
        precision,
        _span(row.get("median_acknowledge_s")),
        _span(row.get("median_close_s")),
        here.time(row.get("last_fired")),
        note,
    )


def _span(seconds: float | None) -> str:
    """Return a length of time in its largest unit."""
    if seconds is None:
        return "—"
    for size, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "m")):
        if seconds >= size:
            return f"{seconds / size:.1f}{unit}"
    return f"{seconds:.0f}s"


@click.command("navigator")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write.")
@click.pass_context
def navigator(ctx: click.Context, out: Path) -> int:
    """Write an ATT&CK Navigator layer (format 4.5): per technique the rules that can fire with the configured sources.

    Techniques that only rules without a source look for have the score 0 and are grey. Rules without a technique in
    their tags are left out.

    Example: secmon rules navigator --out layer.json
    """
    from secmon.app.attack import coverage, layer  # noqa: PLC0415  lazily: commands start fast
    from secmon.wiring import load_rule_set, sources_of  # noqa: PLC0415

    here = session(ctx)
    ruleset, problems = load_rule_set(here.settings)
    for problem in problems:
        complain(problem)
    sources = sources_of(here.settings)
    if not sources:
        complain("no source is configured, so no rule can fire; see [[sources]] in the settings")
    covered = coverage(ruleset, {one.kind for one in sources.values()}, at=SystemClock().now())
    description = here.words(
        "active rules of secmon by technique; score: rules that can fire with the configured sources"
    )
    write_file(out, None, layer(covered, name=safe(f"secmon {here.settings.state.name}"), description=description))
    return 0
