"""`secmon rules backtest`: the hits that a rule would have made of what is stored."""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from secmon.cli.output import complain, flush, safe, write_json
from secmon.cli.session import Session, local_access, session
from secmon.content import read_files
from secmon.errors import SearchStoppedError
from secmon.model.event import format_time, parse_time
from secmon.sigma.rule import RuleFile, RuleSet

if TYPE_CHECKING:
    from secmon.app.backtest import BackTest, Trial
    from secmon.app.installation import Installation

EXIT_NOT_READY = 4
_FILE = "file"
_SHOW_EVERY = 512
_FILTER = re.compile(r"""\bfilter["']?\s*:.*\brules["']?\s*:""", re.DOTALL)
"""A file with a Sigma filter; what else looks like one only takes longer."""


@click.command("backtest")
@click.argument("rule", metavar="RULE")
@click.option("--since", default="30d", show_default=True, help="From: 24h or 180d ago, 2026-09-07, RFC 3339, or all.")
@click.option("--until", default="", help="Until; a day counts up to its end. Default: now.")
@click.option("--by", type=click.Choice(["unit", "day"]), help="Count by unit or by day too.")
@click.option("--timeout", type=click.IntRange(1, 86_400), default=3_600, show_default=True, help="Most seconds.")
@click.option("--scan", is_flag=True, help="Read every event, also where a cluster could be asked.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines (the default).")
@click.pass_context
def backtest(ctx: click.Context, /, rule: str, *, since: str, until: str, by: str | None, **given: Any) -> int:
    """Try RULE, the id of an active rule or a file of rules, on stored history (回测): its hits, then the sums.

    The events are those that are kept, masked as they are; correlations look back before --since as they do every day.
    Baselines learn from all that is kept. Nothing is stored, and no alert is raised. What the audit chain keeps is who
    tried which rule over which time.

    Example: secmon rules backtest draft.yml --since 180d --by unit
    """
    here = session(ctx)
    told = here.call("rules.backtest", rule=_FILE if Path(rule).is_file() else rule, since=since, until=until)
    from secmon.app.backtest import BackTest, Span, budget_of  # noqa: PLC0415  lazily: commands start fast
    from secmon.wiring import opened  # noqa: PLC0415

    since_at = parse_time(told["since"]) if told["since"] else None
    span = Span(since=since_at, until=parse_time(told["until"]), by=by or "", pushdown=not given["scan"])  # type: ignore[arg-type]  # click.Choice
    with opened(here.settings, writable=False) as house:
        trial = _trial(here, house, rule)
        if trial is None:
            return EXIT_NOT_READY
        run = BackTest(house, local_access(), trial, span, budget_of(house, given["timeout"]))
        try:
            with _progress(here, run):
                for row in run.rows():
                    write_json(row)
        except SearchStoppedError as error:
            flush()
            raise SearchStoppedError(
                "not complete: tried up to {reached}, events read: {count}",
                hint="allow more time with --timeout, or ask for a shorter time range",
                values={"reached": here.time(_text(run.reached)), "count": run.read},
            ) from error
        summary = run.summary()
        write_json(summary)
        flush()
        _tell_learning(here, trial, summary.get("baselines", ()))
    return 0


def _tell_learning(here: Session, trial: "Trial", baselines: Iterable[dict[str, Any]]) -> None:
    """Say on standard error what baselines learnt from, and what they could not judge."""
    for told in baselines if not here.quiet else ():
        rule = trial.ruleset.by_id[told["rule.id"]]
        name = (rule.title_zh if here.settings["secmon.lang"] != "en" else "") or rule.name
        for text in _learning(here, told):
            click.echo(safe(f"{name}: {text}"), err=True)


def _learning(here: Session, told: dict[str, Any]) -> Iterator[str]:
    say = here.words
    if not told["groups"]:
        yield say("nothing that is kept meets its rules: there is nothing to learn from")
        return
    span = {name: here.time(told[name]) for name in ("history_from", "taught_until")}
    if told["taught_only"] and told["learning_days"] >= 1:
        text = say("the first {days} days only taught: {history_from} to {taught_until}")
        yield text.format(days=f"{told['learning_days']:g}", **span)
    elif told["taught_only"]:
        yield say("only taught at first: {history_from} to {taught_until}").format(**span)
    else:
        yield say("learnt from what came before, from {history_from} on").format(**span)
    if told["learning"]:
        yield say("not judged, for there was too little to compare with: {count}").format(count=told["learning"])
    if told["hidden"]:
        yield say("not judged, for a source was away or maintenance went on: {count}").format(count=told["hidden"])
    if told["overflow"]:
        yield say("groups left out beyond the limit: {count}").format(count=told["overflow"])


def _trial(here: Session, house: "Installation", rule: str) -> "Trial | None":
    """Return the rules to try; None, and what is wrong on standard error, where a file holds none that runs.

    Raises:
        NotFoundError: no active rule has the id.
    """
    from secmon.app.backtest import trial_of  # noqa: PLC0415  lazily, see above

    path = Path(rule)
    if not path.is_file():
        return trial_of(house.ruleset, [rule])
    ruleset = _rules_of(here, path, house.ruleset)
    for problem in ruleset.problems:
        if problem.path == str(path):
            complain(problem.text)
    own = [one.id for one in ruleset.by_id.values() if one.path == str(path) and one.generates]
    return trial_of(ruleset, own) if own else None


def _rules_of(here: Session, path: Path, in_force: RuleSet) -> RuleSet:
    """Return the rules of a file as they would be in force: with lists, pipelines, filters and all that tunes.

    They are loaded beside all others only where the file, or what tunes it, refers to some of them: that takes longer.

    Raises:
        ContentError: the file cannot be read, or a pipeline is wrong.
    """
    from secmon.sigma.ruleset import load_rules  # noqa: PLC0415  lazily: pySigma takes a second
    from secmon.wiring.texts import rule_texts  # noqa: PLC0415

    found, errors = read_files([path], "*.yml")
    if errors:
        raise errors[0]
    own = [RuleFile(*each) for each in found]
    texts, _ = rule_texts(here.settings)
    beside = [file for file in texts.files if Path(file.path).resolve() != path.resolve()]
    places = {one.path for one in in_force.suppressions} | {one.path for one in in_force.adjustments}
    tuning = [file for file in beside if file.path in places or _FILTER.search(file.text)]
    alone = load_rules([*tuning, *own], pipelines=texts.pipelines, placeholders=texts.lists)
    if not alone.problems:
        return alone
    return load_rules([*beside, *own], pipelines=texts.pipelines, placeholders=texts.lists)


def _text(moment: datetime | None) -> str:
    return format_time(moment) if moment else ""


@contextmanager
def _progress(here: Session, run: "BackTest") -> Iterator[None]:
    """Show on a terminal how far the run is; elsewhere nothing."""
    if here.quiet or not sys.stderr.isatty():
        yield
        return

    def show() -> None:
        say = here.words("{reached}  events read: {count}  hits: {hits}")
        line = say.format(reached=here.time(_text(run.reached)), count=f"{run.read:,}", hits=f"{run.hits:,}")
        click.echo(f"\r\x1b[K{safe(line)}", nl=False, err=True)

    run.watch = (_SHOW_EVERY, show)
    try:
        yield
    finally:
        if run.read >= _SHOW_EVERY:
            click.echo(err=True)
