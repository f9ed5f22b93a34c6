"""Reads the criteria file: clauses of the grading guide, deadlines, report stages and items, incident categories.

Every entry carries its confidence mark (V, V2, G, P), which is printed wherever the entry is.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from secmon.errors import ContentError
from secmon.model.yaml_node import Node, parse_yaml

KIND = "incident-criteria"
MARKS = ("V", "V2", "G", "P")
TIERS = ("特别重大", "重大", "较大", "档次待核")

T = TypeVar("T")

_HEAD = ("id", "kind", "version", "title", "source", "confidence_legend")
_TOP = (*_HEAD, "criteria", "clocks", "stages", "items", "categories")


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One clause.

    Args:
        tier: the part of the guide it stands in; a place in a document, not a conclusion.
        persons: compared with the people seen; 0: nothing is compared.
        human: why it is for people to judge; empty if something is compared.
        groups: groups of GB/T 20986 categories it can concern; empty means all.
    """

    id: str
    tier: str
    topic: str
    text: str
    confidence: str
    persons: int = 0
    human: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportClock:
    """One deadline; `when` is "always", "personal_data" or "minors"."""

    id: str
    name: str
    start: str
    within: str
    to: str
    confidence: str
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One of the three reports of the education system; `fields` are what it asks for beyond the first one."""

    id: str
    name: str
    deadline: str
    fields: tuple[str, ...]
    signature: bool
    confidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportItem:
    """One of the eight items of a national report; `first`: the first report must have it."""

    number: int
    text: str
    first: bool
    confidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A category of GB/T 20986-2023 with what a warning says about it."""

    code: str
    name: str
    group_code: str
    group_name: str
    education: str
    techniques: tuple[str, ...]
    controls: tuple[str, ...]
    alternatives: tuple[str, ...]
    cause: str
    harm: str
    inspect: tuple[str, ...]
    act: tuple[str, ...]
    relief: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentGuide:
    """The whole criteria file."""

    id: str
    version: str
    legend: Mapping[str, str]
    criteria: tuple[Criterion, ...]
    clocks: tuple[ReportClock, ...]
    stages: tuple[Stage, ...]
    items: tuple[ReportItem, ...]
    categories: tuple[Category, ...]

    def stage(self, stage_id: str) -> Stage:
        """Return a stage.

        Raises:
            KeyError: there is none of this id.
        """
        return {one.id: one for one in self.stages}[stage_id]


def is_criteria_file(root: Node) -> bool:
    """Tell whether a file of the frameworks folder is a criteria file, not a catalogue of controls."""
    return isinstance(root.value, Mapping) and "kind" in root.value and root.value["kind"].value == KIND


def load_guide(path: str, text: str) -> tuple[IncidentGuide | None, list[ContentError]]:
    """Read a criteria file.

    Returns:
        The guide, or None if the file is another kind of framework or wrong; and every problem with path:line.
        A broken clause, deadline or category is left out and told.
    """
    errors: list[ContentError] = []
    try:
        root = parse_yaml(path, text)
        if not is_criteria_file(root):
            return None, []
        table = root.table(required=_TOP)
        guide = IncidentGuide(
            id=table["id"].text(),
            version=table["version"].word(),
            legend={mark: node.text() for mark, node in table["confidence_legend"].table(required=MARKS).items()},
            criteria=tuple(_each(table["criteria"], _criterion, errors)),
            clocks=tuple(_each(table["clocks"], _clock, errors)),
            stages=tuple(_each(table["stages"], _stage, errors)),
            items=tuple(_each(table["items"], _item, errors)),
            categories=tuple(_each(table["categories"], _category, errors)),
        )
        if not guide.categories or guide.categories[-1].techniques:
            table["categories"].fail("the last category must be the one for everything else, without techniques")
    except ContentError as error:
        return None, [*errors, error]
    return guide, errors


def _each(node: Node, read: Callable[[Node], T], errors: list[ContentError]) -> Iterator[T]:
    for item in node.items():
        try:
            yield read(item)
        except ContentError as error:
            errors.append(error)


def _criterion(node: Node) -> Criterion:
    table = node.table(required=("id", "tier", "topic", "text", "confidence"), optional=("compare", "human", "groups"))
    if ("compare" in table) == ("human" in table):
        node.fail("a clause either compares or says why it is for people: one of compare, human")
    compare = table["compare"].table(required=("persons",)) if "compare" in table else {}
    return Criterion(
        id=table["id"].text(),
        tier=table["tier"].choice(*TIERS),
        topic=table["topic"].text(),
        text=table["text"].text(),
        confidence=table["confidence"].choice(*MARKS),
        persons=compare["persons"].count(minimum=1) if compare else 0,
        human=table["human"].text() if "human" in table else "",
        groups=table["groups"].words() if "groups" in table else (),
    )


def _clock(node: Node) -> ReportClock:
    table = node.table(required=("id", "name", "start", "within", "to", "confidence", "when"))
    return ReportClock(
        id=table["id"].text(),
        name=table["name"].text(),
        start=table["start"].text(),
        within=table["within"].text(),
        to=table["to"].text(),
        confidence=table["confidence"].choice(*MARKS),
        when=table["when"].choice("always", "personal_data", "minors"),
    )


def _stage(node: Node) -> Stage:
    table = node.table(required=("id", "name", "deadline", "fields", "signature", "confidence"))
    return Stage(
        id=table["id"].choice("urgent", "ongoing", "after"),
        name=table["name"].text(),
        deadline=table["deadline"].text(),
        fields=table["fields"].words(),
        signature=table["signature"].flag(),
        confidence=table["confidence"].choice(*MARKS),
    )


def _item(node: Node) -> ReportItem:
    table = node.table(required=("number", "text", "first", "confidence"))
    return ReportItem(
        number=table["number"].count(minimum=1),
        text=table["text"].text(),
        first=table["first"].flag(),
        confidence=table["confidence"].choice(*MARKS),
    )


def _category(node: Node) -> Category:
    lists = ("techniques", "controls", "alternatives", "inspect", "act")
    texts = ("code", "name", "education", "cause", "harm", "relief")
    table = node.table(required=(*texts, *lists, "group"))
    group = table["group"].table(required=("code", "name"))
    return Category(
        code=table["code"].text(),
        name=table["name"].text(),
        group_code=group["code"].text(),
        group_name=group["name"].text(),
        education=table["education"].text(),
        techniques=table["techniques"].words(),
        controls=table["controls"].words(),
        alternatives=table["alternatives"].words(),
        cause=table["cause"].text(),
        harm=table["harm"].text(),
        inspect=table["inspect"].words(),
        act=table["act"].words(),
        relief=table["relief"].text(),
    )
