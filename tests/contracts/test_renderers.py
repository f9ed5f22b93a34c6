"""The Renderer port: what HTML, DOCX and PDF must all do."""

import pytest
from hypothesis import Phase, given, settings

from secmon.model.access import job_access
from secmon.model.document import Layout, OfficialDocument
from secmon.ports import Renderer
from secmon.render.docx import DocxRenderer
from secmon.render.fonts import FontLibrary
from secmon.render.html import HtmlRenderer
from secmon.render.pdf import PdfRenderer
from tests.render.documents import DOCUMENTS, EXAMPLES, HOSTILE, letter_of, oversized
from tests.render.extract import compact, docx_text, expected, html_text, in_order, pdf_text

ACCESS = job_access("test")
FONTS = FontLibrary()
HTML, DOCX, PDF = HtmlRenderer(), DocxRenderer(), PdfRenderer(FONTS)
READERS = {"html": html_text, "docx": docx_text, "pdf": pdf_text}

every_renderer = pytest.mark.parametrize("renderer", [HTML, DOCX, PDF], ids=lambda renderer: renderer.format)
every_example = pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: document.kind)


def shown(renderer: Renderer, document: OfficialDocument) -> str:
    return READERS[renderer.format](renderer.render(ACCESS, document))


@every_renderer
@every_example
def test_every_text_is_shown_in_reading_order(renderer: Renderer, document: OfficialDocument) -> None:
    assert in_order(expected(document), shown(renderer, document))


@every_example
def test_all_formats_show_the_same_text(document: OfficialDocument) -> None:
    page = shown(HTML, document)
    assert shown(DOCX, document) == page
    assert shown(PDF, document) == page


@every_renderer
@every_example
def test_the_same_document_gives_the_same_bytes(renderer: Renderer, document: OfficialDocument) -> None:
    assert renderer.render(ACCESS, document) == renderer.render(ACCESS, document)


def test_another_instance_gives_the_same_bytes() -> None:
    assert PdfRenderer().render(ACCESS, EXAMPLES[0]) == PDF.render(ACCESS, EXAMPLES[0])


@every_renderer
def test_what_the_office_fills_in_stays_a_visible_blank(renderer: Renderer) -> None:
    text = shown(renderer, EXAMPLES[0])
    assert "〔〕号" in text
    assert "示例市教育局年月日" in text
    assert text.endswith("年月日印发")


@every_renderer
def test_hostile_text_stays_text(renderer: Renderer) -> None:
    document = letter_of(*HOSTILE)
    assert in_order(expected(document), shown(renderer, document))


@every_renderer
def test_a_page_of_hostile_names_in_every_place_is_written(renderer: Renderer) -> None:
    for text in HOSTILE[:7]:
        document = OfficialDocument(
            kind="any",
            layout=EXAMPLES[0].layout,
            title=text,
            blocks=EXAMPLES[0].blocks,
            issuer=text,
            number=text,
            signer=text,
            show_signer=True,
            addressee=text,
            notice=text,
            attachments=(text, text),
            signature=text,
            date=text,
            note=text,
            copies_to=text,
            printed_by=text,
            footer=(text,),
        )
        assert in_order(expected(document), shown(renderer, document))


@every_renderer
@pytest.mark.parametrize("layout", Layout)
def test_texts_longer_than_a_page_are_not_cut_off_anywhere(renderer: Renderer, layout: Layout) -> None:
    document = oversized(layout)
    text = shown(renderer, document)
    assert [found for found in expected(document) if found not in text] == []


@settings(deadline=None)
@given(document=DOCUMENTS)
def test_any_document_has_the_same_text_in_html_and_docx(document: OfficialDocument) -> None:
    page = shown(HTML, document)
    assert in_order(expected(document), page)
    assert shown(DOCX, document) == page


# Typesetting is slow: a failing document is shown as it was found, not made smaller.
@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(document=DOCUMENTS)
def test_any_document_can_be_set_as_pdf(document: OfficialDocument) -> None:
    texts = [compact(FONTS.spelt(text)) for text in document.texts()]
    # Extraction follows the glyphs, and some characters share one; so only the length of each text is compared.
    assert len(shown(PDF, document)) >= sum(map(len, texts))
