"""Reads 处置预案卡 (playbooks, contracts.md §4): what people and the system do when an alert of a kind comes up.

What is checked before a playbook may be used: every `next` exists, every step can be reached, no cycle runs without
a manual step (a machine would turn in it for ever), and whatever changes a system needs an approval and is a dry
run unless somebody says otherwise.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from secmon.errors import ContentError
from secmon.model.yaml_node import Node, parse_yaml


class StepKind(StrEnum):
    """What a step is."""

    MANUAL = "manual"
    ENRICH = "enrich"
    COLLECT = "collect"
    NOTIFY = "notify"
    TASK = "task"
    PROPOSE_BLOCK = "propose_block"
    COMMAND = "command"
    DECISION = "decision"


OWNERS = {
    "operator": "安全运营人员",
    "duty": "值班人员",
    "handler": "处室经办",
    "head": "处室负责人",
    "unit_it": "单位网信部门",
    "system_owner": "系统负责人",
    "supplier": "运维单位",
    "compliance": "合规专员",
    "leader": "分管领导",
}
"""Who takes a step → how the office calls them."""

_CHANGES_A_SYSTEM = frozenset({StepKind.PROPOSE_BLOCK, StepKind.COMMAND})
_WITHIN = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step.

    Args:
        owner: key of `OWNERS`.
        within: time allowed since the step became due.
        needs_approval: somebody else has to agree first.
        dry_run_default: it only says what it would do unless told otherwise.
        evidence: kinds of evidence it has to leave.
        next: ids of the steps that follow by answer: {"": id}, or {"yes": id, "no": id}; empty at the end.
    """

    id: str
    title_zh: str
    title_en: str
    owner: str
    within: timedelta
    kind: StepKind
    needs_approval: bool
    dry_run_default: bool
    evidence: tuple[str, ...]
    next: Mapping[str, str]
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """One 处置预案卡; its first step is the start.

    Args:
        rules: ids or file names of rules it is for.
        tags: Sigma tags it is for, such as "attack.t1110" (its sub-techniques included).
        data_classes: data classes it is for.
        clocks: ids of the deadlines to show beside it.
    """

    id: str
    version: str
    name_zh: str
    name_en: str
    rules: tuple[str, ...]
    tags: tuple[str, ...]
    data_classes: tuple[str, ...]
    clocks: tuple[str, ...]
    steps: tuple[Step, ...]


def load_playbook(
    path: str, text: str, *, known_clocks: Collection[str] | None = None
) -> tuple[Playbook | None, list[ContentError]]:
    """Read one playbook file.

    Args:
        path: the file's name, for messages.
        text: its content.
        known_clocks: ids of all deadlines; None: not checked.

    Returns:
        The playbook, or None if anything is wrong with it (half a playbook is worse than none); and every problem
        with path:line.
    """
    errors: list[ContentError] = []
    playbook: Playbook | None = None
    try:
        playbook = _playbook(parse_yaml(path, text), known_clocks, errors)
        errors += _route_problems(playbook.steps)
    except ContentError as error:
        errors.append(error)
    return (None if errors else playbook), errors


def playbooks_for(
    playbooks: Iterable[Playbook], *, rule: str, tags: Collection[str], data_classes: Collection[str] = ()
) -> list[Playbook]:
    """Return the playbooks that apply to an alert: by rule first, then by tag, then by data class."""
    ranked = []
    for playbook in playbooks:
        if rule in playbook.rules:
            ranked.append((0, playbook.id, playbook))
        elif any(_covers(own, tag) for own in playbook.tags for tag in tags):
            ranked.append((1, playbook.id, playbook))
        elif not set(playbook.data_classes).isdisjoint(data_classes):
            ranked.append((2, playbook.id, playbook))
    return [playbook for _, _, playbook in sorted(ranked, key=lambda row: row[:2])]


def _covers(own: str, tag: str) -> bool:
    return tag.lower() == own or tag.lower().startswith(f"{own}.")


def _playbook(root: Node, known_clocks: Collection[str] | None, errors: list[ContentError]) -> Playbook:
    table = root.table(required=("id", "version", "name", "applies_to", "clocks", "steps"))
    name = table["name"].table(required=("zh", "en"))
    applies = table["applies_to"].table(required=("rules", "tags", "data_classes"))
    if known_clocks is not None:
        unknown = (clock for clock in table["clocks"].items() if clock.text() not in known_clocks)
        errors.extend(ContentError("no deadline of this id is known", where=clock.where) for clock in unknown)
    steps: dict[str, Step] = {}
    for node in table["steps"].items():
        try:
            step = _step(node)
            if step.id in steps:
                node.fail("the step {id} stands twice", id=step.id)
        except ContentError as error:
            errors.append(error)
        else:
            steps[step.id] = step
    if not steps:
        table["steps"].fail("a playbook needs at least one step")
    return Playbook(
        id=table["id"].text(),
        version=table["version"].word(),
        name_zh=name["zh"].text(),
        name_en=name["en"].text(),
        rules=applies["rules"].words(),
        tags=tuple(tag.lower() for tag in applies["tags"].words()),
        data_classes=applies["data_classes"].words(),
        clocks=table["clocks"].words(),
        steps=tuple(steps.values()),
    )


def _step(node: Node) -> Step:
    table = node.table(
        required=("id", "title", "owner", "within", "kind"),
        optional=("needs_approval", "dry_run_default", "evidence", "next"),
    )
    title = table["title"].table(required=("zh", "en"))
    kind = StepKind(table["kind"].choice(*StepKind))
    needs_approval = "needs_approval" in table and table["needs_approval"].flag()
    dry_run = "dry_run_default" not in table or table["dry_run_default"].flag()
    if kind in _CHANGES_A_SYSTEM and not (needs_approval and dry_run):
        node.fail("a {kind} step needs needs_approval: true and dry_run_default: true", kind=kind.value)
    return Step(
        id=table["id"].text(),
        title_zh=title["zh"].text(),
        title_en=title["en"].text(),
        owner=table["owner"].choice(*OWNERS),
        within=_within(table["within"]),
        kind=kind,
        needs_approval=needs_approval,
        dry_run_default=dry_run,
        evidence=table["evidence"].words() if "evidence" in table else (),
        next=_next(table.get("next"), kind, node),
        where=node.where,
    )


def _within(node: Node) -> timedelta:
    match = _WITHIN.fullmatch(node.word())
    if match is None:
        node.fail("expected a time such as 30m, 8h or 5d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _next(node: Node | None, kind: StepKind, step: Node) -> dict[str, str]:
    if kind is StepKind.DECISION:
        if node is None:
            step.fail("a decision needs next: {yes: id, no: id}")
        return {answer: target.text() for answer, target in node.table(required=("yes", "no")).items()}
    return {} if node is None or node.value is None else {"": node.text()}


def _route_problems(steps: tuple[Step, ...]) -> list[ContentError]:
    by_id = {step.id: step for step in steps}
    problems = [
        ContentError("step {id} goes to a step that does not exist", where=step.where, values={"id": step.id})
        for step in steps
        if any(target not in by_id for target in step.next.values())
    ]
    if problems:
        return problems
    reached = _reachable(steps[0].id, by_id)
    problems += [
        ContentError("no way leads to step {id}", where=step.where, values={"id": step.id})
        for step in steps
        if step.id not in reached
    ]
    automatic = {key: step for key, step in by_id.items() if step.kind is not StepKind.MANUAL}
    problems += [
        ContentError(
            "step {id} lies on a cycle without a manual step",
            where=step.where,
            hint="let a person decide whether to go round again",
            values={"id": step.id},
        )
        for step in automatic.values()
        if any(step.id in _reachable(target, automatic) for target in step.next.values() if target in automatic)
    ]
    return problems


def _reachable(start: str, steps: Mapping[str, Step]) -> set[str]:
    """Return the ids of `start` and of every step that can follow it within `steps`."""
    found, queue = {start}, [start]
    while queue:
        for target in steps[queue.pop()].next.values():
            if target in steps and target not in found:
                found.add(target)
                queue.append(target)
    return found
