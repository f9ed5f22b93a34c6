"""What surrounds the text of a DOCX: paper and margins, page numbers, the red head and foot of 信函."""

from dataclasses import replace
from xml.etree.ElementTree import Element

from secmon.model.document import Layout
from secmon.render.ooxml import (
    FOLIO_FACE,
    LINE_PT,
    RED,
    RELATIONS,
    TITLE_FACE,
    Look,
    dxa,
    element,
    field_run,
    paragraph,
    paragraph_of,
    text_run,
)
from secmon.render.parts import Parts

MM = 72 / 25.4
"""Points in a millimetre."""

# Millimetres: GB/T 9704-2012. The head of 信函 begins 30 mm below the edge, its last line 20 mm above it.
_MARGINS = {"top": 37, "right": 26, "bottom": 35, "left": 28, "header": 30, "footer": 20}
_KINDS = {"header1": "first", "header2": "default", "footer1": "default", "footer2": "even", "footer3": "first"}


def head_line(parts: Parts, *, after_pt: float = 0) -> Element:
    """Return 发文机关标志: red, in one line where it fits."""
    size_pt = parts.head_pt
    look = Look(align="center", line_pt=size_pt * 1.15, after_pt=after_pt, face=TITLE_FACE, size_pt=size_pt, colour=RED)
    return paragraph(parts.head, look)


def page_frames(parts: Parts) -> dict[str, Element]:
    """Return headers and footers by relation id: page numbers right on odd and left on even pages."""
    frames = {"footer1": element("ftr", _folio("right")), "footer2": element("ftr", _folio("left"))}
    if parts.layout is Layout.LETTER:
        upper = (_letter_rule(2.25, above_pt=4 * MM), _letter_rule(0.75))
        space = paragraph("", Look(line_pt=8, size_pt=4))
        frames["header1"] = element("hdr", head_line(parts), *upper, space)
        frames["header2"] = element("hdr", paragraph("", Look(line_pt=1, size_pt=1)))
        frames["footer3"] = element("ftr", _letter_rule(0.75), _letter_rule(2.25))
    return frames


def _letter_rule(thickness_pt: float, *, above_pt: float = 2.5) -> Element:
    """Return one of 信函's red lines: 170 mm wide and centred on the page, so 8 mm and 6 mm beyond the text block."""
    look = Look(line_pt=above_pt, left=-8 * MM / 16, right=-6 * MM / 16, rule=(thickness_pt, RED))
    return paragraph("", look)


def _folio(side: str) -> Element:
    """Return the page number: 4号 宋体 between dashes, one character from the edge, 7 mm below the text block."""
    look = Look(align=side, line_pt=16, after_pt=7, face=FOLIO_FACE, size_pt=14)
    look = replace(look, left=1) if side == "left" else replace(look, right=1)
    return paragraph_of([text_run("— ", look), *field_run("PAGE", look), text_run(" —", look)], look)


def section_properties(frames: tuple[str, ...], *, first_number: bool = False) -> Element:
    """Return `w:sectPr`: A4 with the margins of the standard, 22 lines of 28 characters.

    Args:
        frames: relation ids of its headers and footers.
        first_number: page numbers begin anew, behind a cover.
    """
    made = element("sectPr")
    for name in frames:
        reference = element(f"{name.rstrip('123')}Reference", type=_KINDS[name])
        reference.set(f"{{{RELATIONS}}}id", name)
        made.append(reference)
    made.append(element("pgSz", w=dxa(210 * MM), h=dxa(297 * MM)))
    made.append(element("pgMar", **{side: dxa(mm * MM) for side, mm in _MARGINS.items()}, gutter=0))
    if first_number:
        made.append(element("pgNumType", start=1))
    made.append(element("cols", space=425))
    if "footer3" in frames:
        made.append(element("titlePg"))
    made.append(element("docGrid", type="linesAndChars", linePitch=dxa(LINE_PT), charSpace=-849))
    return made
