"""An official document made ready for a writer: every label, blank and form line, the same in all formats.

Rules: GB/T 9704-2012 for 文件 and 信函; the usual 报头 and 报尾 for 简报. What the office fills in by hand or in its
OA stays a visible blank: 文号, 签发人, 成文日期, 印发日期.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from secmon.model.document import (
    Block,
    FieldList,
    Heading,
    Layout,
    OfficialDocument,
    PageBreak,
    Paragraph,
    Table,
)
from secmon.render.text import line_count, printable, width_em

TEXT_WIDTH_PT = 442.2
"""Width of the text block: 156 mm."""

BLANK_NUMBER = "〔　　〕　　号"
BLANK_ISSUE = "第　　期（总第　　期）"
BLANK_NAME = "　　　　"
BLANK_DATE = "　　　　年　　月　　日"

_HEAD_PT = (22.0, 48.0)
_TITLE_LINE_EM = 20.0
_PAIR_EM = 25.0
_TITLE_SHARE = 0.3
_BREAK_AFTER = "的、，：；》）"
_BREAK_BEFORE = ("存在", "发生", "开展")
_TABLE_LINE_EM = 41.0
_LONGEST_CELL_EM = 60.0
_CELL_PADDING_EM = 1.6
_LATIN_ALLOWANCE = 1.1
_CENTRED_EM = 9.0
_WHOLE_ROW_LINES = 12
_SHORT_NAME_EM = 8.0
_SHORT_VALUE_EM = 12.0


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with as many cells in every row.

    Args:
        shares: width of each column, together 1.
        centred: which columns are centred, because all their texts are short.
        whole: which rows are short enough to stay on one page.
        head_repeats: the head is short enough to stand on every page.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shares: tuple[float, ...]
    centred: tuple[bool, ...]
    whole: tuple[bool, ...]
    caption: str
    head_repeats: bool


@dataclass(frozen=True, slots=True)
class Form:
    """Lines of a form, each with one field over the whole width or two short ones side by side."""

    lines: tuple[tuple[tuple[str, str], ...], ...]


Piece = Heading | Paragraph | Grid | Form | PageBreak


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What stands on the paper, in reading order. An empty text is not there at all; a blank is a text.

    Args:
        head: the red line: 发文机关标志, or 刊名 of a 简报.
        head_pt: its size in points: as large as one line allows.
        publisher: 编发单位 of a 简报, beside `issued_on`.
        closing: 署名; " " keeps its place open.
        dated: 成文日期 below it.
        copies, printed_by, printed_on: 版记; `distribution` is 报尾 of a 简报.
    """

    layout: Layout
    notice: str
    head: str
    head_pt: float
    number: str
    signer: str
    publisher: str
    issued_on: str
    title: tuple[str, ...]
    cover: Form
    addressee: str
    pieces: tuple[Piece, ...]
    attachments: tuple[str, ...]
    closing: str
    dated: str
    note: str
    footer: tuple[str, ...]
    copies: str
    printed_by: str
    printed_on: str
    distribution: tuple[str, ...]


def parts_of(document: OfficialDocument, write: Callable[[str], str] = printable) -> Parts:
    """Return the parts of `document`, every text passed through `write`, which must give printable text."""
    layout = document.layout
    formal = layout in {Layout.OFFICIAL, Layout.LETTER}
    briefing = layout is Layout.BRIEFING
    head = write(document.masthead or document.issuer if briefing else document.issuer)
    closing = write(document.signature) or (" " if formal else "")
    return Parts(
        layout=layout,
        notice=write(document.notice),
        head=head,
        head_pt=_head_pt(head),
        number=write(document.number) or {Layout.REPORT: "", Layout.BRIEFING: BLANK_ISSUE}.get(layout, BLANK_NUMBER),
        signer=f"签发人：{write(document.signer) or BLANK_NAME}" if document.show_signer and formal else "",
        publisher=write(document.issuer if document.masthead else document.signature) if briefing else "",
        issued_on=(write(document.date) or BLANK_DATE) if briefing else "",
        title=_title_lines(write(document.title)),
        cover=Form(tuple(((write(name), write(value)),) for name, value in document.cover)),
        addressee=_ended(write(document.addressee), "："),
        pieces=tuple(_piece(block, write) for block in document.blocks),
        attachments=_attachment_lines(tuple(map(write, document.attachments))),
        closing="" if briefing and not document.masthead else closing,
        dated=write(document.date) or (BLANK_DATE if formal else "") if not briefing else "",
        note=_bracketed(write(document.note)),
        footer=tuple(map(write, document.footer)),
        copies=_ended(f"抄送：{write(document.copies_to)}", "。") if document.copies_to else "",
        printed_by=write(document.printed_by) or ("　" if layout is Layout.OFFICIAL else ""),
        printed_on=f"{BLANK_DATE}印发" if layout is Layout.OFFICIAL else "",
        distribution=tuple(f"{write(name)}：{write(who)}" for name, who in document.distribution),
    )


def fit_one_line(left: str, right: str) -> bool:
    """Return whether two texts fit one line of the text block, one at each edge."""
    return "\n" not in left + right and width_em(left) + width_em(right) <= _PAIR_EM


def _head_pt(head: str) -> float:
    smallest, largest = _HEAD_PT
    return round(max(smallest, min(largest, TEXT_WIDTH_PT / max(width_em(head), 1.0))), 1)


def _title_lines(title: str) -> tuple[str, ...]:
    """Break a title of two lines where the sense allows it, into lines of about the same length."""
    width = width_em(title)
    if "\n" in title or not _TITLE_LINE_EM < width <= 2 * _TITLE_LINE_EM:
        return tuple(title.split("\n"))
    breaks = [
        (abs(width - 2 * width_em(title[:place])), place)
        for place in range(1, len(title))
        if title[place - 1] in _BREAK_AFTER or title.startswith(_BREAK_BEFORE, place)
    ]
    unevenness, place = min(breaks, default=(width, 0))
    longer = (width + unevenness) / 2
    if longer > _TITLE_LINE_EM or unevenness > width * (1 - 2 * _TITLE_SHARE):
        return (title,)
    return (title[:place], title[place:])


def _attachment_lines(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) == 1:
        return (f"附件：{names[0]}",)
    return tuple(f"{'附件：' if number == 1 else ''}{number}. {name}" for number, name in enumerate(names, start=1))


def _ended(text: str, end: str) -> str:
    return text if not text or text.endswith(end) else text + end


def _bracketed(note: str) -> str:
    return note if not note or note.startswith("（") else f"（{note}）"


def _piece(block: Block, write: Callable[[str], str]) -> Piece:
    match block:
        case Heading(level, text):
            return Heading(min(max(level, 1), 3), write(text))
        case Paragraph(text, evidence_ids, indent):
            return Paragraph(write(text), tuple(map(write, evidence_ids)), indent)
        case Table():
            return _grid(block, write)
        case FieldList(rows):
            return Form(tuple(_form_lines(tuple((write(name), write(value)) for name, value in rows))))
        case PageBreak():
            return block


def _grid(table: Table, write: Callable[[str], str]) -> Grid:
    count = max(map(len, (table.head, *table.rows)), default=0)
    head = tuple(map(write, table.head))
    head += ("",) * (count - len(head)) if head else ()
    rows = tuple((*map(write, row), *("",) * (count - len(row))) for row in table.rows)
    columns = list(zip(*((head, *rows) if head else rows), strict=True))
    widest = [max(map(_widest_line, column)) for column in columns]
    given = table.widths if len(table.widths) == count and all(width > 0 for width in table.widths) else ()
    shares = tuple(width / sum(given) for width in given) or _shares(widest)
    return Grid(
        head=head,
        rows=rows,
        shares=shares,
        centred=tuple(width <= _CENTRED_EM for width in widest),
        whole=tuple(_row_lines(row, shares) <= _WHOLE_ROW_LINES for row in rows),
        caption=write(table.caption),
        head_repeats=_row_lines(head, shares) <= _WHOLE_ROW_LINES if head else False,
    )


def _shares(widest: list[float]) -> tuple[float, ...]:
    """Give every column that needs no more than its even part what it needs, and the rest to the wide ones."""
    wanted = [min(width * _LATIN_ALLOWANCE, _LONGEST_CELL_EM) + _CELL_PADDING_EM for width in widest]
    room, narrow = _TABLE_LINE_EM, [False] * len(wanted)
    while sum(wanted) > _TABLE_LINE_EM:
        wide = [place for place, is_narrow in enumerate(narrow) if not is_narrow]
        fitting = [place for place in wide if wanted[place] <= room / len(wide)]
        if not fitting:
            # The square root keeps a column of long texts from starving another one.
            weight = sum(wanted[place] ** 0.5 for place in wide)
            for place in wide:
                wanted[place] = room * wanted[place] ** 0.5 / weight
            break
        for place in fitting:
            narrow[place] = True
            room -= wanted[place]
    return tuple(width / sum(wanted) for width in wanted)


def _widest_line(text: str) -> float:
    return max(map(width_em, text.split("\n")))


def _row_lines(row: tuple[str, ...], shares: tuple[float, ...]) -> int:
    """Return the estimated height of a row in lines; two characters less a cell for its padding."""
    room = (max(share * _TABLE_LINE_EM - 2, 1.0) for share in shares)
    return max((line_count(text, line_em) for text, line_em in zip(row, room, strict=True)), default=0)


def _form_lines(fields: tuple[tuple[str, str], ...]) -> Iterator[tuple[tuple[str, str], ...]]:
    """Put two neighbouring short fields on one line; order never changes."""
    waiting: tuple[str, str] | None = None
    for field in fields:
        if not _is_short(field):
            yield from ((waiting,),) if waiting else ()
            yield (field,)
            waiting = None
        elif waiting is None:
            waiting = field
        else:
            yield (waiting, field)
            waiting = None
    if waiting:
        yield (waiting,)


def _is_short(field: tuple[str, str]) -> bool:
    name, value = field
    return width_em(name) <= _SHORT_NAME_EM and 0 < width_em(value) <= _SHORT_VALUE_EM and "\n" not in value
