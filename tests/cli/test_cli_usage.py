"""Wrong usage is told in the language of the run, click's own words included."""

import re
from importlib import resources
from pathlib import Path

import click
import pytest

from secmon.i18n import parse_po, translated_usage
from secmon.model import zone
from tests.cli.program import secmon

CATALOGUE = resources.files("secmon") / "locale" / "zh_CN" / "LC_MESSAGES" / "usage.po"
MESSAGES = parse_po(CATALOGUE.read_text(encoding="utf-8"))
PLACE = re.compile(r"\{[a-z_!]+\}")
HAN = re.compile("[\u4e00-\u9fff]")
# Texts that click puts together: the parts stand in its code, the whole does not.
TOGETHER = re.compile(
    r"(\. (?=Did you|\(Did you|Choose from)| (?=integer|float)| is (?=no time zone)"
    r"|^(?:File|Directory|Path|Missing \w+) )"
)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["coverage", "--bogus"], "没有选项 '--bogus'"),
        (["rules", "nonsense"], "没有命令 'nonsense'"),
        (["alerts", "close"], "缺少参数 '编号...'"),
        (["alerts", "close", "x"], "缺少必填选项 '--reason'，可选：false_positive"),
        (["alerts", "close", "x", "--reason", "foo"], "'--reason' 的值不对：'foo' 不在可选值"),
        (["import", "--source"], "选项 '--source' 后面须有一个值"),
        (["coverage", "--since", "foo"], "'--since' 的值不对：'foo' 不是时间，写法如 24h、7d"),
        (["parse", "--source", "syslog", "--year-from", "foo", "x.log"], "'foo' 不是时间，写法如 2026-09-07T08"),
        (["coverage", "--json=1"], "选项 '--json' 不带值"),
        (["tuning", "preview", "not-there.yml"], "文件 'not-there.yml' 不存在"),
        (["tuning", "list", "--days", "0"], "0 超出范围 1<=x<=3660"),
        (["tuning", "list", "--days", "many"], "'many' 不是整数"),
        (["rules", "baselines", "one", "two"], "多出参数：one two"),
        (["parse", "--source", "vax", "x.log"], "没有 'vax' 这种来源类型"),
        (["parse", "--source", "syslog", "--zone", "Mars", "x.log"], "'Mars' 不是时区"),
        (["--lang", "de", "doctor"], "'de' 不在可选值"),
    ],
)
def test_wrong_usage_is_told_in_chinese(line: list[str], told: str) -> None:
    done = secmon(*line)
    assert (done.status, done.text) == (2, "")
    assert told in done.err
    if "后面须有" in told or "不带值" in told:  # click knows no command yet where it reads an option
        assert done.err.startswith("错误: ")
    else:
        assert done.err.startswith("用法: secmon")
        assert "--help" in done.err


@pytest.mark.parametrize("line", [["--lang", "en", "coverage", "--bogus"], ["coverage", "--bogus", "--lang=en"]])
def test_english_stays_english(line: list[str]) -> None:
    done = secmon(*line)
    assert done.status == 2
    assert "No such option" in done.err
    assert not HAN.search(done.err)


def test_every_text_stands_in_the_code_that_says_it() -> None:
    folders = (Path(click.__file__).parent, Path(__file__).parents[2] / "secmon" / "cli")
    files = [*(path for folder in folders for path in folder.glob("*.py")), Path(zone.__file__)]
    code = " ".join(path.read_text(encoding="utf-8") for path in files)
    parts = {
        part.strip().removesuffix(".")
        for text in MESSAGES
        for whole in TOGETHER.split(text)
        for part in PLACE.split(whole or "")
    }
    assert {part for part in parts if len(part) > 1 and part not in code and part.lower() not in code} == set()


def test_every_text_is_chinese_and_has_the_same_places() -> None:
    for text, chinese in MESSAGES.items():
        assert HAN.search(chinese), text
        assert sorted(PLACE.findall(text)) == sorted(PLACE.findall(chinese)), text


def test_what_nobody_knows_stays_as_it_is() -> None:
    assert translated_usage("something new of click") == "something new of click"
