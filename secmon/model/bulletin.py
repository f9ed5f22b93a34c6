"""Bulletins: documents with a direction, drafted here, numbered, signed and sealed in the office's OA.

通报 and 预警 go down (下行), 报告 go up (上行). A draft never carries a grade, a 文号, a signature or a colour: those
are acts of people. Every paragraph says what it rests on, or that a person has to fill it in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from secmon.model.canonical import Plain, canonical_digest
from secmon.model.event import format_time, parse_time
from secmon.model.evidence import Evidence

TO_FILL = "（由本单位填写）"


class Direction(StrEnum):
    """行文方向."""

    UP = "上行"
    DOWN = "下行"
    LEVEL = "平行"


class BulletinKind(StrEnum):
    """What kind of document it is."""

    WARNING = "warning"
    INCIDENT_REPORT = "incident-report"


class BulletinState(StrEnum):
    """Where it is on its way."""

    DRAFT = "draft"
    REVIEW = "review"
    EXPORTED = "exported"
    FINAL = "final"
    DISTRIBUTED = "distributed"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


class Style(StrEnum):
    """What part of the text a paragraph is."""

    HEADING = "heading"
    SUBHEADING = "subheading"
    BODY = "body"
    FIELD = "field"
    TABLE_HEAD = "table_head"
    TABLE_ROW = "table_row"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulletinParagraph:
    """One paragraph, form field or table row.

    Args:
        text: the whole text; of a field "name：value", of a row its cells joined by "；".
        label: name of a field.
        cells: cells of a table row.
        evidence_ids: what it rests on.
        to_fill: a person has to fill in or confirm it.
    """

    style: Style
    text: str
    label: str = ""
    cells: tuple[str, ...] = ()
    evidence_ids: tuple[str, ...] = ()
    to_fill: bool = False


@dataclass(frozen=True, slots=True)
class Recipient:
    """A unit that gets it (主送)."""

    unit_id: str
    name: str
    state: str = "pending"
    due: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulletin:
    """One bulletin at one version.

    Args:
        id: 32 hex digits.
        number: 文号 or 期号; empty until the OA's final copy is returned.
        colour: 预警颜色; an act of the authority that may issue it, never set here.
        issuer_id: id of the drafting unit.
        alerts: (alert id, revision) it was drafted from.
        created_at: when it was drafted.
    """

    id: str
    kind: BulletinKind
    direction: Direction
    title: str
    issuer_id: str
    issuer_name: str
    recipients: tuple[Recipient, ...]
    paragraphs: tuple[BulletinParagraph, ...]
    alerts: tuple[tuple[str, int], ...]
    evidence: tuple[Evidence, ...]
    created_at: datetime
    state: BulletinState = BulletinState.DRAFT
    number: str = ""
    colour: str = ""
    notes: tuple[str, ...] = ()

    def digest(self) -> str:
        """Return SHA-256 over everything but itself."""
        return canonical_digest(self._json(""))

    def to_json(self) -> dict[str, Plain]:
        """Return the object of contracts.md §3 `bulletin`."""
        return self._json(self.digest())

    def _json(self, digest: str) -> dict[str, Plain]:
        data: dict[str, Plain] = {
            "bulletin.id": self.id,
            "bulletin.number": self.number,
            "kind": self.kind.value,
            "direction": self.direction.value,
            "state": self.state.value,
            "colour": self.colour,
            "title": self.title,
            "issuer": {"unit.id": self.issuer_id, "name": self.issuer_name},
            "recipients": [
                {"unit.id": one.unit_id, "name": one.name, "state": one.state, "due": one.due}
                for one in self.recipients
            ],
            "paragraphs": [_paragraph_json(one) for one in self.paragraphs],
            "alert.ids": [alert for alert, _ in self.alerts],
            "alert.revisions": [revision for _, revision in self.alerts],
            "evidence": [one.to_json() for one in self.evidence],
            "notes": list(self.notes),
            "created": format_time(self.created_at),
        }
        if digest:
            data["digest"] = digest
        return data


def _paragraph_json(one: BulletinParagraph) -> dict[str, Plain]:
    data: dict[str, Plain] = {"text": one.text, "evidence.ids": list(one.evidence_ids), "style": one.style.value}
    if one.label:
        data["label"] = one.label
    if one.cells:
        data["cells"] = list(one.cells)
    if one.to_fill:
        data["to_fill"] = True
    return data


def bulletin_from_json(data: Mapping[str, object]) -> Bulletin:
    """Return the bulletin that `Bulletin.to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: the data is not that of a bulletin.
    """
    issuer = _table(data["issuer"])
    alerts = zip(_texts(data["alert.ids"]), _rows(data["alert.revisions"]), strict=True)
    return Bulletin(
        id=_text(data["bulletin.id"]),
        kind=BulletinKind(_text(data["kind"])),
        direction=Direction(_text(data["direction"])),
        title=_text(data["title"]),
        issuer_id=_text(issuer["unit.id"]),
        issuer_name=_text(issuer["name"]),
        recipients=tuple(
            Recipient(_text(row["unit.id"]), _text(row["name"]), _text(row["state"]), _text(row["due"]))
            for row in map(_table, _rows(data["recipients"]))
        ),
        paragraphs=tuple(_read_paragraph(_table(row)) for row in _rows(data["paragraphs"])),
        alerts=tuple((alert, int(_text(str(revision)))) for alert, revision in alerts),
        evidence=tuple(_read_evidence(_table(row)) for row in _rows(data["evidence"])),
        created_at=parse_time(_text(data["created"])),
        state=BulletinState(_text(data["state"])),
        number=_text(data["bulletin.number"]),
        colour=_text(data["colour"]),
        notes=_texts(data["notes"]),
    )


def _read_paragraph(row: Mapping[str, object]) -> BulletinParagraph:
    return BulletinParagraph(
        style=Style(_text(row["style"])),
        text=_text(row["text"]),
        label=_text(row.get("label", "")),
        cells=_texts(row.get("cells", [])),
        evidence_ids=_texts(row["evidence.ids"]),
        to_fill=row.get("to_fill") is True,
    )


def _read_evidence(row: Mapping[str, object]) -> Evidence:
    return Evidence(
        id=_text(row["evidence.id"]),
        kind=_text(row["kind"]),
        query=_text(row["query"]),
        since=parse_time(_text(row["from"])),
        until=parse_time(_text(row["to"])),
        count=int(str(row["count"])),
        digest=_text(row["digest"]),
        event_ids=_texts(row["event.ids"]),
        masked_sample=_text(row["masked_sample"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return value


def _rows(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("expected a list")
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(item) for item in _rows(value))


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError("expected an object")
    return value
