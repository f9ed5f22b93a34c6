"""The documentation tells what is there: every command, option and setting, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from secmon.cli.root import cli
from secmon.config import SETTINGS, SOURCE_SETTINGS
from secmon.model.batch import INDEXED_FIELDS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SECTION = re.compile(r"^### `secmon ([a-z -]+?)(?: [\[A-Z].*)?`$", re.MULTILINE)
OPTION = re.compile(r"`(--?[a-z][a-z-]*)")
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)(#[^)]*)?\)")
CHECK = re.compile(r'"([a-z_]+)": (?:health|lambda)')


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


def sections() -> dict[str, str]:
    """Return what stands under the heading of each command."""
    parts = SECTION.split(re.sub(r"^## .*$", "### `secmon -`", text("commands.md"), flags=re.MULTILINE))
    return {name: body for name, body in zip(parts[1::2], parts[2::2], strict=True) if name != "-"}


def options(command: click.Command) -> set[str]:
    return {
        name
        for one in command.params
        if isinstance(one, click.Option) and not one.hidden
        for name in (*one.opts, *one.secondary_opts)
    }


def documented(body: str) -> set[str]:
    rows = [line.split("|")[1] for line in body.splitlines() if line.startswith("| `-")]
    return {name for row in rows for name in OPTION.findall(row)}


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    assert set(sections()) == {name for name, _ in commands(cli)}


@pytest.mark.parametrize(("name", "command"), list(commands(cli)), ids=lambda one: one if isinstance(one, str) else "")
def test_every_option_is_documented_and_every_documented_one_exists(name: str, command: click.Command) -> None:
    assert documented(sections()[name]) == options(command)


def test_every_shared_option_is_documented() -> None:
    head = text("commands.md").partition("## Options of every command")[2].partition("\n## ")[0]
    assert documented(head) == options(cli) | {"-h", "--help", "--version"}


@pytest.mark.parametrize("status", ["0", "1", "2", "3", "4", "5", "130"])
def test_every_exit_status_is_explained(status: str) -> None:
    assert f"\n| {status} | " in text("commands.md")


def test_the_columns_that_a_search_need_not_scan_are_named() -> None:
    named = re.search(r"the indexed columns: `([^`]*)`", text("search.md"))
    assert named is not None
    assert tuple(named[1].split()) == INDEXED_FIELDS


def table(head: str) -> dict[str, str]:
    """Return key → default of the table of settings that begins with a key."""
    lines = text("operations.md").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| `{head}` |"))
    rows: dict[str, str] = {}
    for line in lines[start:]:
        if not line.startswith("| "):
            return rows
        cells = [cell.strip() for cell in line.split("|")]
        rows[cells[1].strip("`")] = cells[2].strip("`")
    return rows


def test_every_setting_is_documented_with_its_default() -> None:
    rows = table("secmon.state")
    assert list(rows) == [setting.key for setting in SETTINGS]
    told = {setting.key: str(setting.default) for setting in SETTINGS if setting.default not in (None, "")}
    assert {key: rows[key] for key in told} == told


def test_every_setting_of_a_source_is_documented() -> None:
    assert list(table("name")) == [setting.key for setting in SOURCE_SETTINGS]


def test_every_check_of_the_doctor_is_explained() -> None:
    code = (ROOT / "secmon" / "cli" / "doctor.py").read_text(encoding="utf-8")
    part = text("operations.md").partition("## What `doctor` says")[2]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", part, re.MULTILINE)) == set(CHECK.findall(code))


def test_every_message_of_the_log_is_explained() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "secmon").rglob("*.py"))
    used = set(re.findall(r'(?:log|get_logger\(\))\.(?:info|warning|error|exception)\(\s*"([a-z._]+)"', code))
    part = text("operations.md").partition("## Its own log")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([a-z._]+)`", row)} - {"message"} == used


def test_the_example_of_a_settings_file_is_right(tmp_path: Path) -> None:
    from secmon.config import read_settings  # noqa: PLC0415

    (example,) = re.findall(r"```toml\n(.*?)```", text("operations.md"), re.DOTALL)
    path = tmp_path / "secmon.toml"
    path.write_text(example, encoding="utf-8")
    settings, errors = read_settings(path, environ={"HOME": str(tmp_path)})
    assert errors == []
    assert [one.name for one in settings.sources] == ["jwxt-nginx"]


@pytest.mark.parametrize("path", sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")]), ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    inside = [target for target, _ in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in inside if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_command_of_the_readme_exists(name: str) -> None:
    path = ROOT / name
    used = re.findall(r"^ {4}(?:\.venv/bin/)?secmon ([^#|\n]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    known = {one for one, _ in commands(cli)}
    assert used
    for line in used:
        words = [word for word in line.split() if not word.startswith("-") and "/" not in word]
        assert words[0] in known or " ".join(words[:2]) in known, line
