"""Turns a bulletin into the document that the three writers print.

预警通报 has the 简报 layout: it is one of a numbered series of the same office (第×期), carries 知悉范围 and 报/送/发
lines, and is not a 文件 under GB/T 9704; the 文件 layout with a 期号 would mix two ways of numbering.
事件报告 is a 上行文: 文件 layout with the place for 签发人. 文号、期号、签发、成文日期 and seal stay open:
they come from the office's OA.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from secmon.model.bulletin import Bulletin, BulletinKind, BulletinParagraph, Style
from secmon.model.document import Block, FieldList, Heading, Layout, OfficialDocument, Paragraph, Table

WARNING_MASTHEAD = "网络安全预警通报"
_ADDRESSEE_OPEN = "（主送单位由本单位填写）"
_LINE_CHARS = 20  # a line of the text area (156 mm) holds so many characters of 2号 (22 pt)
_TABLES = (Style.TABLE_HEAD, Style.TABLE_ROW)
# Relative column widths of the known tables, by their first head cell; any other table divides evenly.
_WIDTHS = {
    "指南条款（要点）": (5.5, 1.8, 1.8, 5, 1.2),
    "序号": (1, 6, 1.6, 5, 1.2),
    "事项": (4, 2.4, 2.6, 3, 1.2, 2.8),
    "去向": (3, 2, 2, 2, 2, 2),
    "证据编号": (3, 7, 1.4),
}


def to_document(bulletin: Bulletin) -> OfficialDocument:
    """Return the document of a bulletin."""
    briefing = bulletin.kind is BulletinKind.WARNING
    addressee = "、".join(one.name for one in bulletin.recipients) or _ADDRESSEE_OPEN
    return OfficialDocument(
        kind=bulletin.kind.value,
        layout=Layout.BRIEFING if briefing else Layout.OFFICIAL,
        title=_broken(bulletin.title),
        issuer=bulletin.issuer_name if briefing else f"{bulletin.issuer_name}文件",
        masthead=WARNING_MASTHEAD if briefing else "",
        number=bulletin.number,
        show_signer=not briefing,
        addressee=addressee,
        notice="" if bulletin.number else "送审稿",
        blocks=tuple(_blocks(bulletin.paragraphs)),
        signature=bulletin.issuer_name,
        printed_by="" if briefing else bulletin.issuer_name,
        distribution=(("报", ""), ("送", ""), ("发", addressee)) if briefing else (),
        footer=(
            *bulletin.notes,
            f"依据告警：{'、'.join(f'{alert}（第{revision}版）' for alert, revision in bulletin.alerts)}",
            f"依据证据：{'、'.join(one.id for one in bulletin.evidence)}",
            f"文稿编号：{bulletin.id}；文稿摘要（SHA-256）：{bulletin.digest()}",
        ),
        meta={"bulletin.id": bulletin.id, "digest": bulletin.digest()},
    )


def _broken(title: str) -> str:
    """Break a title that does not fit one line where its sense allows it: behind its last 的."""
    at = title.rfind("的") + 1
    return f"{title[:at]}\n{title[at:]}" if len(title) > _LINE_CHARS and at else title


def _blocks(paragraphs: Iterable[BulletinParagraph]) -> Iterator[Block]:
    for group, members in groupby(_numbered_tables(paragraphs), key=lambda pair: _group(*pair)):
        run = [one for _, one in members]
        match group[0]:
            case "field":
                yield FieldList(tuple((one.cells[0], one.cells[1]) for one in run))
            case "table":
                head, *rows = run
                yield Table(head.cells, tuple(row.cells for row in rows), _WIDTHS.get(head.cells[0], ()))
            case _:
                yield from (_text_block(one) for one in run)


def _numbered_tables(paragraphs: Iterable[BulletinParagraph]) -> Iterator[tuple[int, BulletinParagraph]]:
    """Number the tables, so that two that follow each other stay two."""
    number = 0
    for one in paragraphs:
        number += one.style is Style.TABLE_HEAD
        yield number, one


def _group(number: int, one: BulletinParagraph) -> tuple[str, int]:
    if one.style is Style.FIELD:
        return "field", 0
    return ("table", number) if one.style in _TABLES else ("text", 0)


def _text_block(one: BulletinParagraph) -> Block:
    match one.style:
        case Style.HEADING:
            return Heading(1, one.text)
        case Style.SUBHEADING:
            return Heading(2, one.text)
        case _:
            return Paragraph(one.text, one.evidence_ids)
