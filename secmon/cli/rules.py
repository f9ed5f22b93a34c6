"""`secmon rules`: which rules run and which do not, and whether they find what they should."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click

from secmon.app.attack import disabled_rules
from secmon.app.rule_tests import parse_lines
from secmon.cli.output import complain, flush, message, safe, words, write_json, write_table
from secmon.cli.rules_backtest import backtest
from secmon.cli.rules_baselines import baselines
from secmon.cli.rules_cost import cost
from secmon.cli.rules_import import import_
from secmon.cli.rules_reload import reload
from secmon.cli.rules_score import navigator, scorecard
from secmon.cli.shared import color, shared
from secmon.clock import SystemClock
from secmon.content import playbook_files, read_files, shipped
from secmon.errors import ContentError
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules
from secmon.sigma.testing import Outcome, run_tests
from secmon.store.cache import user_cache
from secmon.store.prepared import Prepared
from secmon.triage.playbook import load_playbook

EXIT_FAILED, EXIT_NOT_READY = 1, 4
WAITING = "waiting"
_WAITS = "it compares with threat intelligence, and there is none: name files of indicators in intel.files"

_PATH = click.Path(exists=True, path_type=Path)


@click.group
def rules() -> None:
    """List, test, try and import Sigma rules.

    Example: secmon rules test rules/cas
    """


@rules.command("list")
@click.argument("paths", nargs=-1, metavar="[PATH...]", type=_PATH)
@click.option("--strict", is_flag=True, help="Exit status 4 if a rule is broken.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def list_(ctx: click.Context, paths: tuple[Path, ...], *, strict: bool, as_json: bool) -> int:
    """List the rules in PATH... (default: those of the settings) with their state.

    active, disabled, broken, unroutable (no source of ours has such a log), or waiting (for threat intelligence).

    Example: secmon rules list --json
    """
    ruleset, errors = _load(paths) if paths else _of_settings(ctx)
    waiting = _waiting(ctx, ruleset)
    rows = _rows(ruleset, waiting)
    if as_json:
        for row in rows:
            write_json(row)
        flush()
    else:
        _print_table(ctx, ruleset, rows)
    for error in errors:
        complain(error)
    is_broken = bool(errors) or any(problem.state == "broken" for problem in ruleset.problems)
    return EXIT_NOT_READY if is_broken and (strict or not ruleset.by_id) else 0


def _print_table(ctx: click.Context, ruleset: RuleSet, rows: list[dict[str, Any]]) -> None:
    say, is_chinese = words(ctx), shared(ctx).get("lang") != "en"
    head = ("id", "level", "state", "rule", "path", "problem")
    cells = []
    for row in rows:
        rule = ruleset.by_id.get(row["rule.id"])
        title = (rule.title_zh if rule is not None and is_chinese else "") or row["rule.name"]
        level, problem = say(row.get("rule.level", "")), message(ctx, row.get("problem", ""))
        state = say("waits for intelligence") if row["state"] == WAITING else say(row["state"])
        cells.append((row["rule.id"], level, state, title, row["path"], say(problem)))
    write_table([say(name) for name in head], cells, color=color(ctx))


rules.add_command(backtest)
rules.add_command(cost)
rules.add_command(import_)
rules.add_command(navigator)
rules.add_command(reload)
rules.add_command(scorecard)
rules.add_command(baselines)


@rules.command("test")
@click.argument("paths", nargs=-1, metavar="[PATH...]", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines (the default).")
@click.pass_context
def test(ctx: click.Context, paths: tuple[Path, ...], *, as_json: bool) -> int:
    """Run the tests beside the rules in PATH... (default: the shipped rules), one case a line, and sum them up.

    Tests beside exceptions are run as well; their rules have to be in PATH... too. Where a rule or an exception asks
    for a list (expand), lists and pipelines are those of the settings.

    Exit status 1 if a case fails, 4 if a rule is broken, has no match or no near-miss case, or offers a playbook that
    is not there.

    Example: secmon rules test rules/cas/cas_spraying.yml
    """
    del as_json
    folders = list(paths) or [shipped("rules")]
    ruleset, errors = _load(folders, ctx)
    texts, more = read_files([_beside(path) for path in folders], "*.test.yaml")
    compiler = Prepared(user_cache()).compile
    tested = run_tests(ruleset, [RuleFile(*each) for each in texts], parse_lines, compiler=compiler)
    for outcome in tested.outcomes:
        write_json(_case_row(outcome))
    flush()
    complaints = [*map(str, errors), *map(str, more), *(problem.text for problem in ruleset.problems), *tested.untested]
    complaints += [
        each.problem if each.problem.startswith(each.where) else f"{each.where}: {each.problem}"
        for each in tested.outcomes
        if each.problem
    ]
    astray = _astray(ctx, ruleset)
    for complaint in complaints:
        complain(complaint)
    for error in astray:
        complain(error)
    _sum_up(ctx, tested.outcomes)
    if errors or more or ruleset.problems or tested.untested or astray:
        return EXIT_NOT_READY
    return 0 if all(outcome.ok for outcome in tested.outcomes) else EXIT_FAILED


def _sum_up(ctx: click.Context, outcomes: Sequence[Outcome]) -> None:
    """Say in one line how it went, on standard error: standard output is for the rows."""
    if shared(ctx).get("quiet"):
        return
    failed = sum(not one.ok for one in outcomes)
    rules_tried = len({one.rule_id for one in outcomes})
    text = words(ctx)("tests: {cases} cases of {rules} rules, {failed} failed")
    click.echo(safe(text.format(cases=f"{len(outcomes):,}", rules=f"{rules_tried:,}", failed=f"{failed:,}")), err=True)


def _astray(ctx: click.Context, ruleset: RuleSet) -> list[ContentError]:
    """Return an error for each rule that offers a playbook that is not there."""
    offered = {rule.playbook for rule in ruleset.by_id.values() if rule.playbook}
    known = _playbook_ids(())
    if offered - known:
        from secmon.cli.session import session  # noqa: PLC0415  lazily: only own playbooks need the settings

        known |= _playbook_ids(session(ctx).settings["content.playbooks"])
    hint = "see playbooks/, or add one to a folder of [content] playbooks"
    return [
        ContentError("the rule offers a playbook that is not there", where=f"{rule.path}:{rule.line}", hint=hint)
        for rule in ruleset.by_id.values()
        if rule.playbook and rule.playbook not in known
    ]


def _playbook_ids(overlays: Sequence[Path]) -> set[str]:
    books = (load_playbook(path, text)[0] for path, text in playbook_files(overlays)[0])
    return {book.id for book in books if book is not None}


def _of_settings(ctx: click.Context) -> tuple[RuleSet, list[ContentError]]:
    """Return the rules of the settings, with their pipelines and lists."""
    from secmon.cli.session import session  # noqa: PLC0415  lazily: only the settings' rules need the settings
    from secmon.wiring.texts import rule_texts  # noqa: PLC0415

    texts, errors = rule_texts(session(ctx).settings)
    return load_rules(texts.files, pipelines=texts.pipelines, placeholders=texts.lists), errors


def _waiting(ctx: click.Context, ruleset: RuleSet) -> frozenset[str]:
    """Return the ids of the rules that wait for threat intelligence, correlations over them too."""
    if not ruleset.intel_rules:
        return frozenset()
    from secmon.cli.session import session  # noqa: PLC0415  lazily: only these rules need the settings
    from secmon.sigma.omitted import omitted  # noqa: PLC0415
    from secmon.wiring.intel import feeds_of  # noqa: PLC0415
    from secmon.wiring.texts import read_intel  # noqa: PLC0415

    settings = session(ctx).settings
    files, _ = read_intel(settings)
    if any(feed.indicators for feed in feeds_of(settings, files)):
        return frozenset()
    return frozenset(omitted(ruleset, is_installed=True, classifies=True))


def _beside(path: Path) -> Path:
    """Return where the tests of a rule file stand; the tests of a folder stand in it."""
    return path.with_suffix(".test.yaml") if path.is_file() else path


def _load(folders: Sequence[Path], ctx: click.Context | None = None) -> tuple[RuleSet, list[ContentError]]:
    """Return the rules in some folders; with a context, lists that they ask for are those of the settings."""
    found, errors = read_files(folders, "*.yml")
    files = [RuleFile(*each) for each in found]
    if ctx is None or not any("|expand" in file.text for file in files):
        return load_rules(files), errors
    from secmon.cli.session import session  # noqa: PLC0415  lazily: only lists need the settings
    from secmon.wiring.texts import rule_texts  # noqa: PLC0415

    texts, more = rule_texts(session(ctx).settings)
    return load_rules(files, pipelines=texts.pipelines, placeholders=texts.lists), [*errors, *more]


def _rows(ruleset: RuleSet, waiting: Collection[str]) -> list[dict[str, Any]]:
    disabled = disabled_rules(ruleset, SystemClock().now())
    rows: list[dict[str, Any]] = []
    for rule in ruleset.by_id.values():
        row: dict[str, Any] = {
            "rule.id": rule.id,
            "rule.name": rule.name,
            "rule.level": rule.level.value,
            "path": rule.path,
            "state": "disabled" if rule.id in disabled else "active",
        }
        if rule.id in waiting:
            row |= {"state": WAITING, "problem": _WAITS}
        if rule.id in disabled:
            row["disabled_by"] = disabled[rule.id]
        if rule.id in ruleset.tuned:
            row["tuned_by"] = list(ruleset.tuned[rule.id])
        rows.append(row)
    for problem in ruleset.problems:
        row = {"rule.id": problem.rule_id, "rule.name": problem.name, "path": problem.path, "state": problem.state}
        advice = f" ({problem.hint})" if problem.hint else ""
        rows.append({**row, "problem": f"{problem.path}:{problem.line}: {problem.problem}{advice}"})
    return sorted(rows, key=lambda row: (row["path"], row["rule.id"]))


def _case_row(outcome: Outcome) -> dict[str, Any]:
    row = {
        "rule.id": outcome.rule_id,
        "case": outcome.case,
        "expect": outcome.expect,
        "got": outcome.got,
        "ok": outcome.ok,
    }
    return row | {"problem": outcome.problem} if outcome.problem else row
