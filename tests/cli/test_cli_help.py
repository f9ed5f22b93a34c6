"""Help follows the language of the run: everything that it says has a Chinese text, and lines fit the terminal."""

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.cli.help import ChineseFormatter, columns, in_chinese, wrapped
from secmon.cli.root import cli
from secmon.cli.shared import Context
from secmon.i18n import parse_po
from tests.cli.program import process, secmon

CATALOGUE = resources.files("secmon") / "locale" / "zh_CN" / "LC_MESSAGES" / "help.po"
TEXTS = parse_po(CATALOGUE.read_text(encoding="utf-8"))
HAN = re.compile("[\u4e00-\u9fff]")
PLACE = re.compile(r"\{[a-z_]+\}")
# Values to choose from and a kind of file: everybody writes them so.
UNTRANSLATED = {"DOMAIN", "EMAIL", "HASH", "URL", "ZIP"}


def contexts(command: click.Command = cli, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Yield a context for every command there is, as click makes them."""
    ctx = command.context_class(command, info_name=command.name, parent=parent, **command.context_settings)
    yield ctx
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            yield from contexts(below, ctx)


def said() -> set[str]:
    """Return everything that the pages of all commands look up."""
    asked: set[str] = set()

    def say(text: str) -> str:
        asked.add(text)
        return text

    for ctx in contexts():
        ctx.command.format_help(ctx, ChineseFormatter(ctx, say))
    return asked


def pages() -> dict[str, str]:
    """Return the Chinese page of every command."""
    found = {}
    for ctx in contexts():
        formatter = ChineseFormatter(ctx, lambda text: TEXTS.get(text, text))
        ctx.command.format_help(ctx, formatter)
        found[ctx.command_path] = formatter.getvalue()
    return found


def test_every_text_of_help_has_a_chinese_one() -> None:
    assert said() - TEXTS.keys() == UNTRANSLATED


def test_no_text_is_left_over() -> None:
    assert TEXTS.keys() - said() == set()


def test_every_text_is_chinese_and_has_the_same_places() -> None:
    for text, chinese in TEXTS.items():
        assert HAN.search(chinese), text
        assert sorted(PLACE.findall(text)) == sorted(PLACE.findall(chinese)), text


def test_the_file_has_no_entry_twice() -> None:
    ids = re.findall(r'^msgid "(.+)"$', CATALOGUE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(ids) == sorted(set(ids))


def test_options_and_statuses_that_english_names_stand_in_the_chinese_too() -> None:
    named = re.compile(
        r"--[a-z-]+|(?:[Ee]xit status|status is then|exit) (?:\d)|RFC 3339|\b20\d\d-\d\d-\d\d|SIG[A-Z]+|[A-Z]+_[A-Z_]+"
    )
    for text, chinese in TEXTS.items():
        for name in named.findall(text):
            assert name.split()[-1] in chinese, text


def test_every_command_and_option_says_what_it_is_for() -> None:
    silent = [
        f"{ctx.command_path} {param.opts[0]}"
        for ctx in contexts()
        for param in ctx.command.params
        if isinstance(param, click.Option) and not param.help
    ]
    assert silent == []
    assert [ctx.command_path for ctx in contexts() if not ctx.command.help] == []


def test_every_command_has_a_context_that_knows_the_language() -> None:
    assert {type(ctx) for ctx in contexts()} == {Context}


def test_values_to_choose_from_stay_as_they_are_typed() -> None:
    for ctx in contexts():
        for param in ctx.command.params:
            if isinstance(param.type, click.Choice):
                shown = param.make_metavar(ctx)
                assert in_chinese(shown) == shown


def test_lines_fit_the_terminal_and_meanings_stand_below_each_other() -> None:
    for name, page in pages().items():
        options = page.partition("选项:\n")[2].partition("\n\n")[0].splitlines()
        starts = {columns(found[0]) for line in options if (found := re.match(r" +-.*?  +(?=\S)|  {6,}(?=\S)", line))}
        assert len(starts) == 1, (name, starts)
        for line in page.splitlines():
            whole = line.startswith("  示例: secmon") or re.fullmatch(r"  --[a-z-]+ \S+", line)
            assert columns(line) <= 78 or whole, (name, line)


def test_help_is_chinese_unless_english_is_asked_for() -> None:
    done = secmon("rules", "backtest", "--help")
    assert (done.status, done.err) == (0, "")
    lines = done.text.splitlines()
    assert lines[0] == "用法: secmon rules backtest [选项] 规则"
    assert "  示例: secmon rules backtest draft.yml --since 180d --by unit" in lines
    assert "  --timeout 整数   最长用时（秒）  [默认：3600；1<=x<=86400]" in lines
    assert "  -h, --help       显示本帮助" in lines
    assert not re.search("Usage|Options|Show this|default", done.text)


@pytest.mark.parametrize(
    "line",
    [
        ("--lang", "en", "rules", "--help"),
        ("rules", "--lang=en", "--help"),
        ("rules", "--help", "--lang", "en"),
        ("--lang", "en", "rules"),
    ],
)
def test_english_help_is_clicks_own(line: tuple[str, ...]) -> None:
    done = secmon(*line)
    page = done.text or done.err
    assert page.startswith(
        "Usage: secmon rules [OPTIONS] COMMAND [ARGS]...\n\n  List, test, try and import Sigma rules.\n"
    )
    assert "Show this message and exit." in page
    assert "选项" not in page


def test_the_settings_and_the_environment_choose_the_language_of_help(tmp_path: Path) -> None:
    settings = tmp_path / "secmon.toml"
    settings.write_text('[secmon]\nlang = "en"\n', encoding="utf-8")
    assert secmon("--config", settings, "alerts", "--help").text.startswith("Usage: ")
    assert secmon("--config", settings, "--lang", "zh-CN", "alerts", "--help").text.startswith("用法: ")
    assert secmon("--config", settings, "alerts", "nonsense").err.startswith("Usage: ")
    assert process("alerts", "-h", home=tmp_path, SECMON_SECMON__LANG="en").text.startswith("Usage: ")


def test_settings_that_are_wrong_do_not_keep_anybody_from_help(tmp_path: Path) -> None:
    settings = tmp_path / "secmon.toml"
    settings.write_text("[secmon\n", encoding="utf-8")
    done = secmon("--config", settings, "alerts", "--help")
    assert (done.status, done.err) == (0, "")
    assert done.text.startswith("用法: secmon alerts [选项] 命令 [参数]...")


def test_a_list_of_commands_says_the_main_thing_of_each() -> None:
    lines = secmon("alerts", "--help").text.partition("命令:\n")[2].splitlines()
    assert lines[0].split() == ["ack", "确认告警"]
    assert [line.split()[0] for line in lines] == ["ack", "close", "list", "show"]


def test_what_has_no_translation_stays_english() -> None:
    command = click.Command("new", help="Something new.", params=[click.Option(["--now"], help="At once.")])
    ctx = Context(command, info_name="new")
    formatter = ChineseFormatter(ctx, lambda text: TEXTS.get(text, text))
    command.format_help(ctx, formatter)
    assert "  Something new.\n" in formatter.getvalue()
    assert re.search(r"  --now 文本 +At once\.\n", formatter.getvalue())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("告警与规则", ["告警与", "规则"]),
        ("告警规，则", ["告警", "规，则"]),
        ("告警（规则）", ["告警", "（规", "则）"]),
        ("a secmon rules", ["a", "secmon", "rules"]),
        ("见 --json 选项", ["见", "--json", "选项"]),
    ],
)
def test_lines_break_between_chinese_characters_and_at_spaces(text: str, lines: list[str]) -> None:
    assert wrapped(text, 6) == lines


@given(text=st.text(alphabet="ab-. 告警则，。（）“”…—é", max_size=60), width=st.integers(4, 20))
def test_wrapping_loses_nothing_and_keeps_to_the_width(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        assert columns(line) <= width or len(wrapped(line, 1)) == 1
