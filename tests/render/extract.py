"""Read the visible text back out of a rendered file, with other people's readers, without any white space."""

import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import docx
import pypdf
from docx.oxml.ns import qn

from secmon.model.document import OfficialDocument
from secmon.render.text import printable

_FOLIO = re.compile(r"^\s*—\s*[0-9]+\s*—\s*$", re.MULTILINE)
_TYPESETTING = re.compile(r"^(?:字体缺字，正文以编码写出|字体已替代)：[^。]*。", re.MULTILINE)
_NOT_SHOWN = {"title", "style"}


def compact(text: str) -> str:
    """Return `text` without white space, ideographic spaces included."""
    return "".join(text.split())


def expected(document: OfficialDocument) -> list[str]:
    """Return what must be shown, in reading order."""
    return [compact(printable(text)) for text in document.texts()]


def in_order(texts: list[str], whole: str) -> bool:
    """Tell whether the texts stand in `whole` one behind the other."""
    place = 0
    for text in texts:
        found = whole.find(text, place)
        if found < 0:
            return False
        place = found + len(text)
    return True


class _Visible(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag not in {"meta", "br", "col"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not _NOT_SHOWN.intersection(self._open):
            self.texts.append(data)


def html_text(page: bytes) -> str:
    """Return the text of an HTML page; every element must be closed in order."""
    reader = _Visible()
    reader.feed(page.decode())
    reader.close()
    return compact("".join(reader.texts))


def docx_text(file: bytes) -> str:
    """Return the text of a DOCX: the header of the first page, where 信函 has its red head, and the body."""
    opened = docx.Document(io.BytesIO(file))
    first = opened.sections[-1].first_page_header
    texts = [] if first.is_linked_to_previous else [paragraph.text for paragraph in first.paragraphs]
    return compact("".join((*texts, *_runs(opened.element.body))))


def _runs(body: object) -> Iterator[str]:
    yield from (node.text or "" for node in body.iter(qn("w:t")))  # type: ignore[attr-defined]  # lxml is untyped


def pdf_text(file: bytes) -> str:
    """Return the text of a PDF without page numbers and without the lines about its fonts."""
    pages = pypdf.PdfReader(io.BytesIO(file)).pages
    return compact("".join(_TYPESETTING.sub("", _FOLIO.sub("", page.extract_text())) for page in pages))
