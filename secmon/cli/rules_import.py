"""`secmon rules import`: take over rules of somebody else, with their licences."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from secmon.app.rule_import import NEW, SAME, ImportedRule, Surroundings, plan_import
from secmon.cli.output import complain, flush, safe, words, write_json, write_table
from secmon.cli.params import LEVELS
from secmon.cli.shared import color
from secmon.collect.rule_bundle import (
    LICENCES,
    RULES,
    Bundle,
    BundleFile,
    is_archive,
    read_archive,
    write_files,
)
from secmon.content import read_files
from secmon.errors import ConfigError
from secmon.model.hit import Level
from secmon.sigma.rule import RuleFile

EXIT_NOTHING, EXIT_FOUND = 1, 3

_PATH = click.Path(exists=True, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("import")
@click.argument("path", metavar="PATH|ZIP", type=_PATH)
@click.option("--into", type=_FOLDER, help="Folder they go to; default: the first of content.rules.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--fail-on", type=LEVELS, help="Exit status 3 if a rule of this level or higher cannot run.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def import_(
    ctx: click.Context, path: Path, into: Path | None, *, dry_run: bool, fail_on: str | None, as_json: bool
) -> int:
    """Import the rules in a file, a folder or a ZIP archive, byte for byte, with their licence files.

    Rules that cannot run with the pipelines, lists and rules of the settings are named with the reason and left out,
    unless others of their file can. A file that is replaced stays beside the new one as NAME.yml.old. Exit status 1 if
    there is no rule at all.

    Example: secmon rules import sigma-master.zip --into /etc/secmon/rules --dry-run
    """
    folder = into or _first_folder(ctx)
    bundle = read_archive(path) if is_archive(path) else _folder(path)
    existing, errors = read_files([folder], RULES) if folder.is_dir() else ([], [])
    for error in (*bundle.errors, *errors):
        complain(error)
    plan = plan_import(
        [RuleFile(file.name, file.text) for file in bundle.rules],
        [RuleFile(Path(name).relative_to(folder).as_posix(), text) for name, text in existing],
        [file.name for file in bundle.licences],
        _surroundings(ctx, folder),
    )
    _print(ctx, plan.rules, as_json=as_json)
    if not dry_run and plan.writes:
        texts = {file.name: file.text for file in bundle.rules}
        files = [BundleFile(place, texts[name]) for place, name in sorted(plan.writes.items())]
        written = write_files(folder, [*_fresh(folder, bundle.licences), *files])
        click.echo(
            safe(words(ctx)("{number} files written to {folder}").format(number=written, folder=folder)), err=True
        )
    if fail_on and any(rule.is_missed(Level(fail_on)) for rule in plan.rules):
        return EXIT_FOUND
    return 0 if plan.rules else EXIT_NOTHING


def _folder(path: Path) -> Bundle:
    """Read the rules and licences in a folder, or one rule file."""
    base = path if path.is_dir() else path.parent
    rules, errors = read_files([path], RULES)
    licences: list[tuple[str, str]] = []
    for pattern in LICENCES if path.is_dir() else ():
        found, more = read_files([path], pattern)
        licences += found
        errors += more
    return Bundle(_relative(rules, base), _relative(licences, base), tuple(errors))


def _relative(files: Iterable[tuple[str, str]], base: Path) -> tuple[BundleFile, ...]:
    return tuple(BundleFile(Path(name).relative_to(base).as_posix(), text) for name, text in sorted(files))


def _fresh(folder: Path, licences: tuple[BundleFile, ...]) -> list[BundleFile]:
    """Return the licence files that are not there yet."""
    return [file for file in licences if not (folder / file.name).exists()]


def _surroundings(ctx: click.Context, folder: Path) -> Surroundings:
    """Return what imported rules will run with: all that the settings name but for the folder itself."""
    from secmon.cli.session import session  # noqa: PLC0415  lazily: help and usage need no settings
    from secmon.wiring.texts import rule_texts  # noqa: PLC0415

    texts, errors = rule_texts(session(ctx).settings)
    for error in errors:
        complain(error)
    inside = folder.resolve()
    rules = [file for file in texts.files if not Path(file.path).resolve().is_relative_to(inside)]
    return Surroundings(rules, texts.pipelines, texts.lists)


def _first_folder(ctx: click.Context) -> Path:
    from secmon.cli.session import session  # noqa: PLC0415  lazily: help and usage need no settings

    folders: list[Path] = session(ctx).settings["content.rules"]
    if not folders:
        raise ConfigError("no folder for rules is set", hint="give --into DIR, and name DIR in content.rules")
    return folders[0]


def _print(ctx: click.Context, rules: tuple[ImportedRule, ...], *, as_json: bool) -> None:
    if as_json:
        for rule in rules:
            write_json(_row(rule))
        flush()
        return
    say = words(ctx)
    shown = [rule for rule in rules if rule.change != SAME]
    cells = [
        (rule.rule_id, say(rule.change), rule.name, rule.author, rule.licence, rule.reason or rule.path)
        for rule in shown
    ]
    heads = ("id", "change", "rule", "author", "licence", "reason or path")
    write_table([say(head) for head in heads], cells, color=color(ctx))
    counts = Counter(rule.change for rule in rules)
    counts.setdefault(NEW, 0)
    click.echo(", ".join(f"{say(change)} {number}" for change, number in sorted(counts.items())), err=True)


def _row(rule: ImportedRule) -> dict[str, Any]:
    return {
        "rule.id": rule.rule_id,
        "rule.name": rule.name,
        "path": rule.path,
        "change": rule.change,
        "reason": rule.reason,
        "author": rule.author,
        "license": rule.licence,
    }
