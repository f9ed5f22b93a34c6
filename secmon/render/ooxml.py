"""WordprocessingML: the few elements that official documents need.

Format: ECMA-376 part 1, chapter 17. Lengths: points here, twentieths of a point ("dxa") in the file; font sizes are
half points, borders eighths of a point, indents hundredths of a character.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, register_namespace

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
# Measured from the page's edge: LibreOffice lets a table of full width float only then.
_AT_FOOT = {
    "leftFromText": 0,
    "rightFromText": 0,
    "vertAnchor": "margin",
    "horzAnchor": "page",
    "tblpX": round(28 * 1440 / 25.4),
    "tblpYSpec": "bottom",
}
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
register_namespace("w", WORD)
register_namespace("r", RELATIONS)

BODY_FACE, HEADING_FACE, SUBHEADING_FACE = "仿宋_GB2312", "黑体", "楷体_GB2312"
TITLE_FACE, FOLIO_FACE, LATIN_FACE = "方正小标宋简体", "宋体", "Times New Roman"
# What a machine without the face has instead: Windows since Vista carries 仿宋 and 楷体 under these names.
OTHER_NAMES = {BODY_FACE: "仿宋", SUBHEADING_FACE: "楷体", TITLE_FACE: "华文中宋", HEADING_FACE: "SimHei"}

LINE_PT = 28.95
RED = "E60012"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a paragraph looks.

    Args:
        style: id of a style, "" for the body's.
        align: "both", "center", "left" or "right".
        first, left, right, hanging: indents in characters.
        line_pt: exact line height.
        before_pt, after_pt: space around.
        keep_next: stays on the page of the next paragraph.
        splits_words: Latin text may break anywhere, for lines that hold long ids.
        rule: a line below: thickness in points, colour.
        dense: 28 characters of 16 pt fill a line, which a quarter point less for each one allows.
    """

    style: str = ""
    align: str = "both"
    first: float = 0
    left: float = 0
    right: float = 0
    hanging: float = 0
    line_pt: float = LINE_PT
    before_pt: float = 0
    after_pt: float = 0
    keep_next: bool = False
    splits_words: bool = False
    rule: tuple[float, str] | None = None
    dense: bool = False
    face: str = BODY_FACE
    size_pt: float = 16
    colour: str = ""


def element(tag: str, *children: Element, **attributes: object) -> Element:
    """Return the element `w:tag` with attributes of the same namespace."""
    made = Element(f"{{{WORD}}}{tag}", {f"{{{WORD}}}{name}": str(value) for name, value in attributes.items()})
    made.extend(children)
    return made


def dxa(points: float) -> int:
    """Return twentieths of a point."""
    return round(points * 20)


def run_properties(look: Look) -> Element:
    """Return `w:rPr`: the Chinese face for Han characters and Chinese quotation marks, the Latin one for the rest."""
    fonts = element("rFonts", hint="eastAsia", ascii=LATIN_FACE, hAnsi=LATIN_FACE, eastAsia=look.face, cs=LATIN_FACE)
    made = element("rPr", fonts)
    # The grid tells the office 22 lines of 28 characters; what LibreOffice makes of it in text is twice too wide.
    made.append(element("snapToGrid", val=0))
    if look.colour:
        made.append(element("color", val=look.colour))
    if look.dense:
        made.append(element("spacing", val=-5))
    size = round(look.size_pt * 2)
    made.extend((element("sz", val=size), element("szCs", val=size)))
    return made


def text_run(text: str, look: Look) -> Element:
    """Return a run; line feeds in `text` are line breaks."""
    made = element("r", run_properties(look))
    for number, line in enumerate(text.split("\n")):
        if number:
            made.append(element("br"))
        content = element("t")
        content.text = line
        content.set(_SPACE, "preserve")
        made.append(content)
    return made


def tab_run() -> Element:
    """Return a run with one tab."""
    return element("r", element("tab"))


def field_run(instruction: str, look: Look) -> list[Element]:
    """Return the runs of a field such as PAGE."""

    def mark(kind: str) -> Element:
        return element("r", run_properties(look), element("fldChar", fldCharType=kind))

    code = element("instrText")
    code.text = f" {instruction} "
    code.set(_SPACE, "preserve")
    shown = text_run("1", look)
    return [mark("begin"), element("r", run_properties(look), code), mark("separate"), shown, mark("end")]


def paragraph(text: str, look: Look) -> Element:
    """Return a paragraph of one text."""
    return paragraph_of([text_run(text, look)], look)


def paragraph_of(runs: Iterable[Element], look: Look, tabs: Sequence[tuple[str, float]] = ()) -> Element:
    """Return a paragraph of ready runs, with tab stops: kind and place in points."""
    return element("p", _paragraph_properties(look, tabs), *runs)


def _paragraph_properties(look: Look, tabs: Sequence[tuple[str, float]]) -> Element:
    """Return `w:pPr`; the schema fixes the order of its children."""
    made = element("pPr")
    if look.style:
        made.append(element("pStyle", val=look.style))
    if look.keep_next:
        made.append(element("keepNext"))
    if look.rule:
        thickness, colour = look.rule
        line = element("bottom", val="single", sz=round(thickness * 8), space=0, color=colour)
        made.append(element("pBdr", line))
    if tabs:
        made.append(element("tabs", *(element("tab", val=kind, pos=dxa(place)) for kind, place in tabs)))
    if look.splits_words:
        made.append(element("wordWrap", val=0))
    # 2026年1月5日, as offices write it: no gap between Han characters and Latin letters or digits.
    made.extend((element("autoSpaceDE", val=0), element("autoSpaceDN", val=0)))
    made.append(element("snapToGrid", val=0))
    made.append(
        element(
            "spacing", before=dxa(look.before_pt), after=dxa(look.after_pt), line=dxa(look.line_pt), lineRule="exact"
        )
    )
    made.append(_indent(look))
    made.append(element("jc", val=look.align))
    return made


def _indent(look: Look) -> Element:
    """Return `w:ind`; characters count where the program knows them, points elsewhere."""
    made = element("ind")
    sides = (("left", look.left), ("right", look.right), ("hanging", look.hanging), ("firstLine", look.first))
    for side, characters in sides:
        if characters or side in {"left", "right"} or (side == "firstLine" and not look.hanging):
            made.set(f"{{{WORD}}}{side}Chars", str(round(characters * 100)))
            made.set(f"{{{WORD}}}{side}", str(dxa(characters * look.size_pt)))
    return made


def table(
    widths_pt: Sequence[float], rows: Iterable[Element], *, line_pt: float = 0.5, at_foot: bool = False
) -> Element:
    """Return a table with fixed columns, centred, all its lines `line_pt` thick (0: none).

    Args:
        widths_pt: width of each column.
        rows: what `row` made.
        line_pt: thickness of all lines.
        at_foot: floats at the foot of the text block of the page on which the paragraph behind it stands.
    """
    line = "single" if line_pt else "nil"
    sides = ("top", "left", "bottom", "right", "insideH", "insideV")
    return element(
        "tbl",
        element(
            "tblPr",
            *((element("tblpPr", **_AT_FOOT),) if at_foot else ()),
            element("tblW", w=dxa(sum(widths_pt)), type="dxa"),
            element("jc", val="center"),
            element("tblBorders", *(element(side, val=line, sz=round(line_pt * 8), space=0) for side in sides)),
            element("tblLayout", type="fixed"),
            element(
                "tblCellMar", *(element(side, w=0 if at_foot else dxa(4), type="dxa") for side in ("left", "right"))
            ),
        ),
        element("tblGrid", *(element("gridCol", w=dxa(width)) for width in widths_pt)),
        *rows,
    )


def row(cells: Iterable[Element], *, whole: bool = True, repeated: bool = False) -> Element:
    """Return a row; `whole`: never split between pages; `repeated`: again at the top of every page."""
    made = element("trPr")
    if whole:
        made.append(element("cantSplit"))
    if repeated:
        made.append(element("tblHeader"))
    return element("tr", made, *cells)


def cell(*content: Element, width_pt: float, span: int = 1, borders: Element | None = None) -> Element:
    """Return a cell of some paragraphs, centred in height."""
    properties = element("tcPr", element("tcW", w=dxa(width_pt), type="dxa"))
    if span > 1:
        properties.append(element("gridSpan", val=span))
    if borders is not None:
        properties.append(borders)
    properties.append(element("vAlign", val="center"))
    return element("tc", properties, *content)
