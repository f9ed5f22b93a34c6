"""Reads a control catalogue (contracts.md §4 Framework): one broken control never switches off the others."""

from collections.abc import Mapping

from secmon.compliance.check_file import read_check, read_fact
from secmon.errors import ContentError
from secmon.model.assessment import Check, Control, FactSpec, Framework
from secmon.model.ids import text_digest
from secmon.model.yaml_node import Node, parse_yaml

MARKS = ("V", "V2", "G", "P")

_TOP = ("id", "version", "title", "source", "confidence_legend", "classes", "controls")
_CONTROL = ("id", "clause", "class", "point", "item", "level", "gist", "confidence", "checks")


def load_framework(path: str, text: str) -> tuple[Framework | None, list[ContentError]]:
    """Read one framework file.

    Args:
        path: the file's name, for messages.
        text: its content.

    Returns:
        The framework with all sound controls, or None if the head of the file is wrong or the file names another
        `kind`; and every problem, each with path:line.
    """
    errors: list[ContentError] = []
    try:
        root = parse_yaml(path, text)
        if isinstance(root.value, Mapping) and "kind" in root.value:
            return None, []  # the folder holds other content too, such as the incident criteria; each names its kind
        table = root.table(required=_TOP, optional=("facts", "verdict"))
        facts = _facts(table.get("facts"), errors)
        framework = _framework(table, _controls(table, facts, errors), text)
    except ContentError as error:
        return None, [*errors, error]
    return framework, errors


def _framework(table: Mapping[str, Node], controls: tuple[Control, ...], text: str) -> Framework:
    title = table["title"].table(required=("zh", "en"))
    source = table["source"].table(required=("number", "name", "effective"))
    legend = table["confidence_legend"].table(required=MARKS)
    return Framework(
        id=table["id"].text(),
        version=table["version"].word(),
        title_zh=title["zh"].text(),
        title_en=title["en"].text(),
        source_number=source["number"].text(),
        source_name=source["name"].text(),
        effective=source["effective"].word(),
        legend={mark: node.text() for mark, node in legend.items()},
        classes=_classes(table["classes"]),
        controls=controls,
        digest=text_digest([text.encode("utf-8", "backslashreplace").decode()]),
    )


def _classes(node: Node) -> dict[str, str]:
    rows = [item.table(required=("code", "name")) for item in node.items()]
    return {row["code"].text(): row["name"].text() for row in rows}


def _facts(node: Node | None, errors: list[ContentError]) -> dict[str, FactSpec]:
    facts: dict[str, FactSpec] = {}
    for name, entry in (node.table(optional=None) if node else {}).items():
        try:
            facts[name] = read_fact(entry)
        except ContentError as error:
            errors.append(error)
    return facts


def _controls(
    table: Mapping[str, Node], facts: Mapping[str, FactSpec], errors: list[ContentError]
) -> tuple[Control, ...]:
    classes, controls = _classes(table["classes"]), dict[str, Control]()
    for node in table["controls"].items():
        try:
            control = _control(node, facts, classes)
            if control.id in controls:
                node.fail("the control {id} stands twice", id=control.id)
        except ContentError as error:
            errors.append(error)
        else:
            controls[control.id] = control
    return tuple(controls.values())


def _control(node: Node, facts: Mapping[str, FactSpec], classes: Mapping[str, str]) -> Control:
    table = node.table(required=_CONTROL, optional=("high_risk", "maps_to"))
    class_code = table["class"].text()
    if class_code not in classes:
        table["class"].fail("the class is not listed under classes")
    return Control(
        id=table["id"].text(),
        clause=table["clause"].word(),
        class_code=class_code,
        point=table["point"].text(),
        item=table["item"].text(),
        level=tuple(level.count(minimum=1) for level in table["level"].items()),
        gist=table["gist"].text(),
        confidence=table["confidence"].choice(*MARKS),
        high_risk=table["high_risk"].words() if "high_risk" in table else (),
        maps_to=_maps_to(table.get("maps_to")),
        checks=_checks(table["checks"], facts),
    )


def _maps_to(node: Node | None) -> tuple[tuple[str, str], ...]:
    rows = [item.table(required=("framework", "id")) for item in (node.items() if node else ())]
    return tuple((row["framework"].text(), row["id"].text()) for row in rows)


def _checks(node: Node, facts: Mapping[str, FactSpec]) -> tuple[Check, ...]:
    checks = tuple(read_check(item, facts) for item in node.items())
    if not checks:
        node.fail("a control needs at least one check")
    if len({check.id for check in checks}) < len(checks):
        node.fail("two checks of one control have the same id")
    return checks
