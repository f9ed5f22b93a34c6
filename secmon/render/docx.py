"""Official documents as DOCX for Word and WPS: named fonts, real styles, no macros, nothing from outside the file."""

from collections.abc import Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element

from secmon.model.access import Access
from secmon.model.document import Layout, OfficialDocument
from secmon.render.docx_body import pieces_xml
from secmon.render.docx_frame import MM, head_line, page_frames, section_properties
from secmon.render.docx_package import Properties, package
from secmon.render.ooxml import (
    HEADING_FACE,
    LINE_PT,
    RED,
    SUBHEADING_FACE,
    TITLE_FACE,
    Look,
    cell,
    element,
    paragraph,
    paragraph_of,
    row,
    tab_run,
    table,
    text_run,
)
from secmon.render.parts import TEXT_WIDTH_PT, Parts, fit_one_line, parts_of
from secmon.render.text import file_date, line_count, width_em

_HEAD_DROP_PT = 35 * MM
_LINE_EM = 28.0
_PAGE_PT = 225 * MM
_COVER_SHARES = (0.27, 0.63)
_COVER_VALUE_EM = 16.0
_SIGNER_LABEL = len("签发人：")


class DocxRenderer:
    """Writes DOCX."""

    format = "docx"

    def render(self, access: Access, document: OfficialDocument) -> bytes:  # noqa: ARG002 - the port names who asks
        """Return the DOCX; the same document gives the same bytes."""
        parts = parts_of(document)
        frames = page_frames(parts)
        section = section_properties(tuple(frames), first_number=parts.layout is Layout.REPORT)
        created = f"{file_date(document.date).isoformat()}T00:00:00Z"
        properties = Properties(title="".join(parts.title), author=parts.closing.strip(), created=created)
        return package(element("body", *_content(parts), section), frames, properties)


def _content(parts: Parts) -> Iterator[Element]:
    heads = {Layout.OFFICIAL: _official_head, Layout.LETTER: _letter_head, Layout.BRIEFING: _briefing_head}
    yield from heads.get(parts.layout, _cover)(parts)
    if parts.addressee:
        yield paragraph(parts.addressee, Look(dense=True))
    yield from pieces_xml(parts.pieces)
    yield from _attachments(parts.attachments)
    if parts.layout is not Layout.REPORT:
        yield from _closing(parts)
    if parts.note:
        yield paragraph(parts.note, Look(first=2, dense=True))
    yield from _small_lines(parts.footer)
    yield from _end_block(parts)


# ---- heads ----


def _blank(line_pt: float = LINE_PT) -> Element:
    return paragraph("", Look(line_pt=line_pt, size_pt=min(16, line_pt)))


def _red_rule() -> Element:
    """Return the red line, as wide as the text block, 4 mm below what stands above it."""
    return paragraph("", Look(line_pt=4 * MM, size_pt=1, rule=(1.5, RED)))


def _notice(parts: Parts, align: str = "left") -> Iterator[Element]:
    if parts.notice:
        yield paragraph(parts.notice, Look(align=align, face=HEADING_FACE))


def _title(parts: Parts, size_pt: float = 22) -> Element:
    look = Look(style="Title", align="center", line_pt=size_pt * 1.55, face=TITLE_FACE, size_pt=size_pt)
    return paragraph("\n".join(parts.title), look)


def _official_head(parts: Parts) -> Iterator[Element]:
    """Yield the red head 35 mm below the edge of the text block; the notice stands in that space."""
    yield from _notice(parts)
    used_pt = line_count(parts.notice, _LINE_EM) * LINE_PT if parts.notice else 0
    yield _blank(max(_HEAD_DROP_PT - used_pt, 1))
    yield head_line(parts)
    yield from (_blank(), _blank())
    if parts.signer:
        yield from _sides(parts.number, parts.signer, Look(align="left", left=1, right=1), right_face=SUBHEADING_FACE)
    else:
        yield paragraph(parts.number, Look(align="center"))
    yield _red_rule()
    yield from (_blank(), _blank(), _title(parts), _blank())


def _letter_head(parts: Parts) -> Iterator[Element]:
    """Yield what follows 信函's red head, which stands in the header of the first page."""
    yield from _notice(parts)
    yield paragraph(parts.number, Look(align="right"))
    if parts.signer:
        yield paragraph(parts.signer, Look(align="right"))
    yield from (_blank(), _blank(), _title(parts), _blank())


def _briefing_head(parts: Parts) -> Iterator[Element]:
    yield from _notice(parts)
    yield _blank(8 * MM)
    yield head_line(parts, after_pt=16)
    yield paragraph(parts.number, Look(align="center"))
    yield from _sides(parts.publisher, parts.issued_on, Look(align="left", left=1, right=1))
    yield _red_rule()
    yield from (_blank(), _title(parts), _blank())


def _sides(left: str, right: str, look: Look, *, right_face: str = "") -> Iterator[Element]:
    """Yield one line with a text at each edge, or two lines where they do not fit.

    With `right_face` the right text begins with "签发人：", and the name has that face.
    """
    label = right[:_SIGNER_LABEL] if right_face else right
    runs = [text_run(label, look)]
    if right_face:
        runs.append(text_run(right[_SIGNER_LABEL:], replace(look, face=right_face)))
    if fit_one_line(left, right):
        edge = TEXT_WIDTH_PT - look.right * look.size_pt
        yield paragraph_of([text_run(left, look), tab_run(), *runs], look, tabs=[("right", edge)])
    else:
        yield paragraph(left, look)
        yield paragraph_of(runs, replace(look, align="right"))


def _cover(parts: Parts) -> Iterator[Element]:
    """Yield the cover page of a report, which is a section without page numbers; what is left over is shared out."""
    blank_pt = max((_PAGE_PT - _cover_height_pt(parts)) / 4, 1)
    yield from _notice(parts, "center")
    yield _blank(blank_pt)
    if parts.head:
        yield paragraph(parts.head, Look(align="center", line_pt=34, after_pt=24, face=TITLE_FACE, size_pt=22))
    yield _title(parts, 26)
    if parts.number:
        yield paragraph(parts.number, Look(align="center", before_pt=12))
    yield _blank(blank_pt)
    if parts.cover.lines:
        yield _cover_form(parts)
    yield _blank(blank_pt)
    for text in filter(str.strip, (parts.closing, parts.dated)):
        yield paragraph(text, Look(align="center"))
    yield element("p", element("pPr", element("spacing", line=20, lineRule="exact"), section_properties(())))


def _cover_height_pt(parts: Parts) -> float:
    """Return the height of all texts of the cover, estimated."""
    values = sum(line_count(value, _COVER_VALUE_EM) * LINE_PT + 6 for ((_name, value),) in parts.cover.lines)
    texts = sum(
        line_count(text, _LINE_EM) * LINE_PT for text in (parts.notice, parts.number, parts.closing, parts.dated)
    )
    return values + texts + sum(line_count(line, 17) for line in parts.title) * 26 * 1.55 + (58 if parts.head else 0)


def _cover_form(parts: Parts) -> Element:
    widths = [TEXT_WIDTH_PT * share for share in _COVER_SHARES]
    look = Look(align="left", before_pt=4)

    def cells(name: str, value: str) -> tuple[Element, Element]:
        line = element("tcBorders", element("bottom", val="single", sz=6, space=0, color="000000"))
        return cell(paragraph(name, look), width_pt=widths[0]), cell(
            paragraph(value, look), width_pt=widths[1], borders=line
        )

    return table(widths, (row(cells(*field)) for (field,) in parts.cover.lines), line_pt=0)


# ---- what follows the text ----


def _attachments(lines: tuple[str, ...]) -> Iterator[Element]:
    """Yield 附件说明: two characters in, names of several below each other."""
    if lines:
        yield _blank()
    label, number = 3.0, 1.0
    for place, line in enumerate(lines):
        hanging = label if len(lines) == 1 else number if place else label + number
        left = 2 + label + (0 if len(lines) == 1 else number)
        yield paragraph(line, Look(left=left, hanging=hanging, dense=True))


def _closing(parts: Parts) -> Iterator[Element]:
    """Yield 署名 centred above 成文日期, which stands four characters from the right: the place of the seal."""
    if not (parts.closing or parts.dated):
        return
    yield from (_blank(), _blank())
    centre = 4 + width_em(parts.dated or parts.closing) / 2
    for text in filter(None, (parts.closing, parts.dated)):
        right = max(1.0, centre - width_em(text) / 2)
        yield paragraph(text, Look(align="right", right=right, keep_next=text is parts.closing))


def _small_lines(lines: tuple[str, ...]) -> Iterator[Element]:
    if lines:
        yield paragraph("", Look(line_pt=LINE_PT, right=19.5, rule=(0.5, "000000")))
    for line in lines:
        yield paragraph(line, Look(align="left", line_pt=15.5, before_pt=2, size_pt=10.5, splits_words=True))


def _end_block(parts: Parts) -> Iterator[Element]:
    """Yield 版记 or 报尾 at the foot of the last page."""
    look = Look(align="left", line_pt=22, size_pt=14, left=1, right=1)
    hanging = replace(look, left=4, hanging=3)
    lines = [[paragraph(text, hanging)] for text in (*parts.distribution, *filter(None, (parts.copies,)))]
    if parts.printed_by:
        lines.append(list(_sides(parts.printed_by, parts.printed_on, look)))
    if lines:
        ruled = parts.layout is not Layout.LETTER
        borders = [_end_borders(number, len(lines)) if ruled else None for number in range(len(lines))]
        pairs = zip(lines, borders, strict=True)
        cells = (cell(*line, width_pt=TEXT_WIDTH_PT, borders=border) for line, border in pairs)
        yield table([TEXT_WIDTH_PT], (row((content,)) for content in cells), line_pt=0, at_foot=True)
    yield paragraph("", Look(line_pt=1, size_pt=1))


def _end_borders(number: int, count: int) -> Element:
    """Return the lines of a row: 0.35 mm outside, 0.25 mm within, in eighths of a point."""

    def side(name: str, *, outer: bool) -> Element:
        thickness_pt = (0.35 if outer else 0.25) * MM
        return element(name, val="single", sz=round(thickness_pt * 8), space=0, color="000000")

    return element("tcBorders", side("top", outer=number == 0), side("bottom", outer=number == count - 1))
