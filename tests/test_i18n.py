"""The Chinese catalogue: every message that secmon raises has a translation, none is left over, places agree."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import pytest

from secmon import errors
from secmon.i18n import parse_po, translated, translator

ROOT = Path(__file__).parents[1]
CATALOGUE = resources.files("secmon") / "locale" / "zh_CN" / "LC_MESSAGES" / "secmon.po"
PLACE = re.compile(r"\{([a-z_]+)\}")
HAN = re.compile("[\u4e00-\u9fff]")


# Errors inside the rule compiler: they reach people as the text of a `RuleProblem`, its values filled in already.
OF_RULES = {"RuleError", "UnsupportedError", "CustomError", "ConditionError", "ExcessError"}


class Messages(ast.NodeVisitor):
    """Collects the texts that become a problem or a hint of a `SecmonError`.

    A class derived from one of the tree counts as well, and so does a function that hands one of its own arguments on
    as problem or hint: what it is called with is a message too. A name stands for every text assigned to it in its
    file, a conditional expression for both of its texts.
    """

    def __init__(self, classes: set[str], carriers: dict[str, list[str]]) -> None:
        self.classes, self.carriers = classes, carriers
        self.assigned: dict[str, list[ast.expr]] = {}
        self.found: dict[str, int] = {}
        self.new_carriers: dict[str, list[str]] = {}
        self._of_rule = False
        self._functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._functions.append(node)
        self.generic_visit(node)
        self._functions.pop()

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in OF_RULES:
            self._of_rule = True  # their second argument by place is a line or a key
            for value in arguments(node, ["problem"]):
                self.take(value)
            self._of_rule = False
        elif name in self.classes:
            for value in arguments(node, ["problem", "hint"]):
                self.take(value)
        elif name in self.carriers:
            for value in arguments(node, self.carriers[name]):
                self.take(value)
        self.generic_visit(node)

    def take(self, value: ast.expr, depth: int = 0) -> None:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            if value.value:
                self.found.setdefault(value.value, value.lineno)
        elif isinstance(value, ast.JoinedStr) and self._of_rule:
            self.found.setdefault(template(value), value.lineno)
        elif isinstance(value, ast.IfExp):
            self.take(value.body, depth)
            self.take(value.orelse, depth)
        elif isinstance(value, ast.Name) and depth < 2:
            self.take_name(value.id, depth)

    def take_name(self, name: str, depth: int) -> None:
        function = self._functions[-1] if self._functions else None
        parameters = [one.arg for one in [*function.args.args, *function.args.kwonlyargs]] if function else []
        if function is not None and name in parameters:
            self.new_carriers[function.name] = [one for one in parameters if one not in {"self", "cls"}]
            return
        for value in self.assigned.get(name, ()):
            self.take(value, depth + 1)


def template(text: ast.JoinedStr) -> str:
    """Return an f-string with a named place for each value: what was filled in is recognised by it (`translated`)."""
    parts: list[str] = []
    for part in text.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value))
        elif isinstance(part, ast.FormattedValue):
            value = part.value
            while isinstance(value, ast.Call | ast.Subscript):
                value = value.func if isinstance(value, ast.Call) else value.value
            name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "value")
            parts.append("{" + name.strip("_").lower() + "}")
    return "".join(parts)


def arguments(node: ast.Call, parameters: list[str]) -> Iterator[ast.expr]:
    """Yield what a call hands to the parameters called problem and hint (a class takes only its problem by place)."""
    for name, value in zip(parameters, node.args, strict=False):
        if name in {"problem", "hint"}:
            yield value
    for keyword in node.keywords:
        if keyword.arg in {"problem", "hint"}:
            yield keyword.value


def assignments(tree: ast.Module) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for one, value in zip(target.elts, node.value.elts, strict=False):
                        if isinstance(one, ast.Name):
                            found.setdefault(one.id, []).append(value)
    return found


def error_classes(trees: list[ast.Module]) -> set[str]:
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") in classes for base in node.bases):
                classes.add(node.name)
    return classes


@cache
def raised() -> dict[str, str]:
    """Return every message → the first place that raises it."""
    paths = sorted((ROOT / "secmon").rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    classes = error_classes(list(trees.values()))
    carriers: dict[str, list[str]] = {}
    found: dict[str, str] = {}
    for _ in range(3):  # a carrier may hand on to a carrier
        found = {}
        for path, tree in trees.items():
            messages = Messages(classes, carriers)
            messages.assigned = assignments(tree)
            messages.visit(tree)
            carriers |= messages.new_carriers
            found |= {text: f"{path.relative_to(ROOT)}:{line}" for text, line in messages.found.items()}
    return found


def catalogue() -> dict[str, str]:
    return parse_po(CATALOGUE.read_text(encoding="utf-8"))


def test_every_message_has_a_chinese_text() -> None:
    known = catalogue()
    missing = [f"{place}: {text!r}" for text, place in raised().items() if text not in known]
    assert not missing, "\n".join(missing)


def test_no_text_is_left_over() -> None:
    assert set(catalogue()) - set(raised()) == set()


def test_every_translation_is_chinese_and_says_it_in_one_line() -> None:
    wrong = {text: chinese for text, chinese in catalogue().items() if not HAN.search(chinese) or "\n" in chinese}
    assert wrong == {}


def test_places_agree() -> None:
    wrong = {
        text: chinese
        for text, chinese in catalogue().items()
        if sorted(PLACE.findall(text)) != sorted(PLACE.findall(chinese))
    }
    assert wrong == {}


def test_the_file_has_no_entry_twice() -> None:
    ids = re.findall(r'^msgid "(.+)"$', CATALOGUE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(ids) == sorted(set(ids))


def test_the_words_of_the_field_are_used() -> None:
    """D of the offices' wording: 事件 is only a security event, never a log line; 研判, not 分诊; 登录, not 登陆."""
    wrong = [one for one in catalogue().values() if re.search("分诊|登陆|案件|升级为|用户密码|密码须", one)]
    assert wrong == []


@pytest.mark.parametrize(
    ("kept", "chinese"),
    [
        ("no access log line", "不是访问日志的格式"),
        ("no such source (secmon sources list shows them)", "没有这个日志来源（secmon sources list 可列出全部来源）"),
        ("jwxt: no access log line", "jwxt：不是访问日志的格式"),
        ("/a/units.yaml:3: the unit id 37 stands twice", "/a/units.yaml:3：单位编号 37 重复"),
        ("a text that nobody wrote", "a text that nobody wrote"),
        (
            "/a/t.yml:6: it finds no rule spraying (it says owner, approver and reason)",
            "/a/t.yml:6：找不到规则 spraying（须写明 owner（责任人）、approver（批准人）、reason（理由））",
        ),
        (
            "/a/t.yml:3: custom.secmon.owner is missing (mandatory: owner, approver)",
            "/a/t.yml:3：缺少 custom.secmon.owner（必填：owner, approver）",
        ),
        (
            "/a b/m.json:1: 7 attributes of the type mutex are not supported",
            "/a b/m.json:1：有 7 个 mutex 类型的属性不支持",
        ),
        ("/a/t.yml:3: it has expired (and 2 more)", "/a/t.yml:3：已到期（另有 2 处）"),
        ("this one", "本机"),
        (
            "this one, db2 (0a1b2c3d); alerts and windows are brought forward here; other rules on db2",
            "本机、db2 (0a1b2c3d)；告警与定时任务由本机推进；规则不同的有：db2",
        ),
        ("", ""),
    ],
)
def test_a_text_that_was_kept_filled_in_is_recognised(kept: str, chinese: str) -> None:
    assert translated(kept) == chinese


CHECKS = ("daemon/health.py", "daemon/service.py", "cli/doctor.py")


def said_by_checks(path: str) -> Iterator[str]:
    """Yield what the checks in a file say (detail and remedy), "7" in every place."""
    tree = ast.parse((ROOT / "secmon" / path).read_text(encoding="utf-8"))
    known = assignments(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", getattr(node.func, "attr", "")) not in {
            "Check",
            "problems",
        }:
            continue
        values = [*node.args[2:], *(one.value for one in node.keywords if one.arg in {"detail", "remedy"})]
        for value in values:
            for each in known.get(value.id, ()) if isinstance(value, ast.Name) else [value]:
                if isinstance(each, ast.JoinedStr):
                    yield PLACE.sub("7", template(each))
                elif isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value


@pytest.mark.parametrize("path", CHECKS)
def test_what_checks_say_is_said_in_chinese(path: str) -> None:
    said = {text for text in said_by_checks(path) if re.search("[a-z]{3}", text)}
    assert said
    assert {text for text in said if not HAN.search(translated(text))} == set()


def test_a_very_long_text_is_left_as_it_is() -> None:
    text = "the unit id " + "a" * 100_000 + " stands twice"
    assert translated(text) == text


def test_english_leaves_messages_alone() -> None:
    assert translator("en")("no such page") == "no such page"
    assert translator("zh-CN")("no such page") == "没有这个页面"
