"""The body of a DOCX: headings, paragraphs, tables and forms."""

import re
from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

from secmon.model.document import Heading, PageBreak, Paragraph
from secmon.render.ooxml import (
    BODY_FACE,
    HEADING_FACE,
    SUBHEADING_FACE,
    Look,
    cell,
    element,
    paragraph,
    paragraph_of,
    row,
    table,
)
from secmon.render.parts import TEXT_WIDTH_PT, Form, Grid, Piece

_FACES = (HEADING_FACE, SUBHEADING_FACE, BODY_FACE)
_WIDE_TABLE = 3
_NAME_SHARE, _VALUE_SHARE = 0.2, 0.3
_LONG_RUN = re.compile(r"[^\s\u2e80-\U0003ffff]{26}")


def pieces_xml(pieces: Iterable[Piece]) -> Iterator[Element]:
    """Yield the body's elements."""
    for piece in pieces:
        match piece:
            case Heading(level, text):
                yield paragraph(
                    text, Look(style=f"Heading{level}", first=2, keep_next=True, dense=True, face=_FACES[level - 1])
                )
            case Paragraph(text, _evidence_ids, indent):
                yield paragraph(text, Look(first=2 if indent else 0, dense=True, splits_words=_has_long_run(text)))
            case Grid():
                yield from _grid(piece)
            case Form():
                yield from _spaced(_form(piece))
            case PageBreak():
                yield paragraph_of([element("r", element("br", type="page"))], Look(line_pt=1, size_pt=1))


def _has_long_run(text: str) -> bool:
    """Return whether a word may be longer than a line: then words may break anywhere, as a digest must."""
    return _LONG_RUN.search(text) is not None


def _spaced(content: Element) -> tuple[Element, ...]:
    """Set a table off from the text; Word joins two tables that nothing parts."""
    return (_gap(), content, _gap())


def _gap() -> Element:
    return paragraph("", Look(line_pt=8, size_pt=4))


def _grid(grid: Grid) -> Iterator[Element]:
    if grid.caption:
        look = Look(align="center", line_pt=20, before_pt=6, keep_next=True, face=HEADING_FACE, size_pt=12)
        yield paragraph(grid.caption, look)
    if grid.shares:
        size_pt = 10.5 if len(grid.shares) > _WIDE_TABLE else 12.0
        widths = [share * TEXT_WIDTH_PT for share in grid.shares]
        rows = (
            _row(grid, cells, widths, size_pt=size_pt, whole=whole)
            for cells, whole in zip(grid.rows, grid.whole, strict=True)
        )
        yield from _spaced(table(widths, (*_head_row(grid, widths, size_pt), *rows)))


def _head_row(grid: Grid, widths: list[float], size_pt: float) -> tuple[Element, ...]:
    if not grid.head:
        return ()
    look = _cell_look(size_pt, align="center", face=HEADING_FACE)
    cells = (cell(paragraph(text, look), width_pt=width) for text, width in zip(grid.head, widths, strict=True))
    return (row(cells, whole=grid.head_repeats, repeated=grid.head_repeats),)


def _row(grid: Grid, texts: tuple[str, ...], widths: list[float], *, size_pt: float, whole: bool) -> Element:
    looks = (_cell_look(size_pt, align="center" if centred else "left") for centred in grid.centred)
    columns = zip(texts, widths, looks, strict=True)
    return row((cell(paragraph(text, look), width_pt=width) for text, width, look in columns), whole=whole)


def _cell_look(size_pt: float, *, align: str, face: str = BODY_FACE) -> Look:
    line_pt = size_pt * 1.5
    return Look(align=align, line_pt=line_pt, before_pt=2, after_pt=2, face=face, size_pt=size_pt)


def _form(form: Form) -> Element:
    name_pt, value_pt = TEXT_WIDTH_PT * _NAME_SHARE, TEXT_WIDTH_PT * _VALUE_SHARE
    rows = (row(_form_cells(fields, name_pt, value_pt)) for fields in form.lines)
    return table([name_pt, value_pt, name_pt, value_pt], rows)


def _form_cells(fields: tuple[tuple[str, str], ...], name_pt: float, value_pt: float) -> Iterator[Element]:
    alone = len(fields) == 1
    for name, value in fields:
        yield cell(paragraph(name, _cell_look(12, align="center", face=HEADING_FACE)), width_pt=name_pt)
        look = _cell_look(12, align="left")
        width = name_pt + 2 * value_pt if alone else value_pt
        yield cell(paragraph(value, look), width_pt=width, span=3 if alone else 1)
