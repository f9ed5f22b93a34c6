"""HTML: one page, nothing fetched, nothing executed."""

import base64
import hashlib
import re

import pytest

from secmon.model.access import job_access
from secmon.model.document import OfficialDocument
from secmon.render.html import HtmlRenderer
from tests.render.documents import EXAMPLES, HOSTILE, WARNING, letter_of

ACCESS = job_access("test")


def page(document: OfficialDocument = WARNING) -> str:
    return HtmlRenderer().render(ACCESS, document).decode()


@pytest.mark.parametrize("document", [*EXAMPLES, letter_of(*HOSTILE)], ids=lambda document: document.kind)
def test_the_policy_allows_the_one_style_sheet_and_nothing_else(document: OfficialDocument) -> None:
    text = page(document)
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert len(style) == 1
    assert f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'" in text


@pytest.mark.parametrize("document", [*EXAMPLES, letter_of(*HOSTILE)], ids=lambda document: document.kind)
def test_there_are_no_scripts_links_or_inline_styles(document: OfficialDocument) -> None:
    tags = re.findall(r"<[a-z][^>]*>", page(document))
    assert tags
    assert not [tag for tag in tags if re.match(r"<(script|img|link|iframe|object|a|form|svg)\b", tag)]
    assert not [tag for tag in tags if re.search(r"\s(style|on[a-z]+|src|href)=", tag)]


def test_the_language_is_chinese() -> None:
    assert '<html lang="zh-CN">' in page()


def test_paragraphs_carry_the_ids_of_their_evidence() -> None:
    assert 'data-evidence="evd-1 evd-2"' in page()


def test_the_template_is_not_applied_to_text() -> None:
    assert "{{7*7}}" in page(letter_of("{{7*7}}"))


def test_column_widths_stand_in_the_style_sheet() -> None:
    assert re.search(r"\.t6 col:nth-child\(3\) \{ width: [0-9.]+%; \}", page())
