"""The model of an official document: one content, three writers (HTML, DOCX, PDF) with the same text.

Layout follows GB/T 9704-2012 (文件), the 简报 and 信函 layouts, or a plain 报告; the writers know how each looks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Layout(StrEnum):
    """Which of the office's layouts a document has."""

    OFFICIAL = "official"
    """文件: red head, 发文字号, red rule."""
    LETTER = "letter"
    """信函."""
    BRIEFING = "briefing"
    """简报（专报）: 报头, 第×期, 报尾."""
    REPORT = "report"
    """A report with a cover page, such as a 等保自查."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: level 1 = 一、(黑体), 2 = （一）(楷体), 3 = 1. (仿宋). The text carries its own number."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of body text; `evidence_ids` are what it rests on."""

    text: str
    evidence_ids: tuple[str, ...] = ()
    indent: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a head row; `widths` are relative column widths."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...] = ()
    caption: str = ""


@dataclass(frozen=True, slots=True)
class FieldList:
    """A form: name and value, two columns; an empty value leaves the place to be filled by hand."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PageBreak:
    """What follows starts on a new page."""


Block = Heading | Paragraph | Table | FieldList | PageBreak


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialDocument:
    """One document, ready for a writer. An empty text is a place left open for the office (文号、签发、印章).

    Args:
        kind: machine name, such as "warning" or "self-assessment".
        issuer: 发文机关 for the head, such as "示例市教育局文件" or the unit's name;
            of a 简报 with a masthead, 编发单位.
        masthead: 刊名 of a 简报, such as "网络安全专报"; empty: the issuer stands there.
        number: 发文字号, of a 简报 "2026年第1期（总第1期）"; empty until the OA gives it.
        signer: 签发人; empty until signed.
        title: title lines, joined by line breaks where the office wants them.
        addressee: 主送机关 without the colon; empty for a report.
        notice: banner above everything, such as "单位自查，不作为等级测评结论".
        cover: rows of the cover page (REPORT layout), name and value.
        attachments: names of 附件, in order.
        signature: 署名.
        date: 成文日期 such as "2026年1月5日"; empty until issued.
        note: 附注 without brackets.
        distribution: 报尾 of a 简报: ("报", who), ("送", who), ("发", who).
        copies_to: 抄送.
        printed_by: 印发机关.
        footer: small lines behind the text, above 版记 or 报尾: sources, confidence legend, digest.
        meta: values that a machine reader wants, printed nowhere.
    """

    kind: str
    layout: Layout
    title: str
    blocks: tuple[Block, ...]
    issuer: str = ""
    masthead: str = ""
    number: str = ""
    signer: str = ""
    show_signer: bool = False
    addressee: str = ""
    notice: str = ""
    cover: tuple[tuple[str, str], ...] = ()
    attachments: tuple[str, ...] = ()
    signature: str = ""
    date: str = ""
    note: str = ""
    copies_to: str = ""
    printed_by: str = ""
    distribution: tuple[tuple[str, str], ...] = ()
    footer: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)

    def texts(self) -> Iterator[str]:
        """Yield every text in reading order, without layout: the writers must show exactly these."""
        yield from filter(None, (*self._head_texts(), self.title))
        if self.layout is Layout.REPORT:
            cover = (text for row in self.cover for text in row)
            yield from filter(None, (self.number, *cover, self.signature, self.date))
        if self.addressee:
            yield self.addressee
        for block in self.blocks:
            yield from _block_texts(block)
        yield from self.attachments
        yield from filter(None, (*self._closing_texts(), self.note))
        yield from self.footer
        for name, who in self.distribution:
            yield from filter(None, (name, who))
        yield from filter(None, (self.copies_to, self.printed_by))

    def _head_texts(self) -> tuple[str, ...]:
        """Return what stands above the title; a 简报 names its 编发单位 and its date there."""
        if self.layout is Layout.BRIEFING:
            publisher = self.issuer if self.masthead else self.signature
            return (self.notice, self.masthead or self.issuer, self.number, publisher, self.date)
        signer = self.signer if self.show_signer else ""
        if self.layout is Layout.LETTER:
            return (self.issuer, self.notice, self.number, signer)
        if self.layout is Layout.REPORT:
            return (self.notice, self.issuer)
        return (self.notice, self.issuer, self.number, signer)

    def _closing_texts(self) -> tuple[str, ...]:
        """Return 署名 and 成文日期 where they stand behind the text; a report has them on its cover."""
        if self.layout is Layout.REPORT:
            return ()
        if self.layout is Layout.BRIEFING:
            return (self.signature if self.masthead else "",)
        return (self.signature, self.date)


def _block_texts(block: Block) -> Iterator[str]:
    match block:
        case Heading() | Paragraph():
            yield block.text
        case Table():
            yield from filter(None, (block.caption, *block.head))
            for row in block.rows:
                yield from filter(None, row)
        case FieldList():
            for row in block.rows:
                yield from filter(None, row)
        case PageBreak():
            return
