"""What commands print for people: every English word they use has a Chinese one, none is left over."""

import ast
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from secmon.cli.output import safe
from secmon.i18n import parse_po
from secmon.model.alert import ALERT_STATE_ZH, CLOSE_REASON_ZH, AlertState, CloseReason
from secmon.model.hit import Level

FOLDER = resources.files("secmon") / "locale" / "zh_CN" / "LC_MESSAGES"
WORDS = parse_po((FOLDER / "words.po").read_text(encoding="utf-8"))
ERRORS = parse_po((FOLDER / "secmon.po").read_text(encoding="utf-8"))
CODE = Path(__file__).parents[2] / "secmon"
HAN = re.compile("[\u4e00-\u9fff]")
# Functions whose texts are for people, and texts of `health.Check` that doctor and the console show.
TRANSLATING = {"say", "words", "table"}


def texts(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def called(tree: ast.AST) -> Iterator[str]:
    """Yield the literal texts that a command hands to a translation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in TRANSLATING and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant | ast.Tuple | ast.IfExp):
                    yield from texts(first)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "head":
            if isinstance(node.value, ast.Tuple | ast.IfExp):
                yield from texts(node.value)
        elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "lines" and node.value:
            assert isinstance(node.value, ast.Dict)
            yield from (str(key.value) for key in node.value.keys if isinstance(key, ast.Constant))


def used() -> set[str]:
    return {text for path in (CODE / "cli").glob("*.py") for text in called(ast.parse(path.read_text("utf-8"))) if text}


def test_every_word_of_the_commands_has_a_chinese_one() -> None:
    known = WORDS.keys() | ERRORS.keys()
    assert used() - known == set()


@pytest.mark.parametrize("word", [*AlertState, *CloseReason, *Level])
def test_states_levels_and_reasons_have_the_terms_of_the_field(word: str) -> None:
    terms = {**{str(k): v for k, v in ALERT_STATE_ZH.items()}, **{str(k): v for k, v in CLOSE_REASON_ZH.items()}}
    assert WORDS[str(word)] == terms.get(str(word), WORDS[str(word)])


def test_no_word_is_left_over() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("cli", "daemon", "app", "model", "triage", "sigma")
        for path in (CODE / folder).rglob("*.py")
    )
    shapes = {word: [part for part in re.split(r"\{[a-z_]+\}", word) if part.strip()] for word in WORDS}
    assert [word for word, parts in shapes.items() if not all(part.strip() in code for part in parts)] == []


def test_every_word_is_chinese_and_has_the_same_places() -> None:
    for word, chinese in WORDS.items():
        assert HAN.search(chinese) or word == "kind", word
        assert set(re.findall(r"\{([a-z_]+)\}", word)) == set(re.findall(r"\{([a-z_]+)\}", chinese)), word


def test_no_word_is_in_both_catalogues_with_two_meanings() -> None:
    assert {word for word in WORDS.keys() & ERRORS.keys() if WORDS[word] != ERRORS[word]} == set()


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\u202eb", "a\x00b", "a\x9bb", "a\rb"])
def test_nothing_that_is_printed_steers_a_terminal(text: str) -> None:
    assert safe(text).isprintable()
