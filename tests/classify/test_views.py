"""Views: escapes undone, and every character still knows where it came from."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.classify.views import views


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a%20b", "a b"),
        ("%E5%BC%A0", "张"),
        ("%D5%C5", "张"),  # GB18030
        ("%FF%FF%FF", "ÿÿÿ"),
        ("%25E5%25BC%25A0", "张"),
        ("\\u5f20\\u4e09", "张三"),
        ("\\ud842\\udfb7", "𠮷"),
        ('\\\\\\"x\\n', '"x\n'),
        ("１３Ａ：", "13A:"),
        ("100%", "100%"),
        ("\\ud800x", "\ufffdx"),
    ],
)
def test_the_last_view_is_the_plain_text(text: str, plain: str) -> None:
    assert views(text)[-1].text == plain


def test_a_text_without_escapes_has_one_view() -> None:
    (view,) = views("学生 page=3")
    assert view.starts is None


@given(text=st.text(st.characters(exclude_characters="\\%", exclude_categories=["Cs"]), max_size=40))
def test_percent_encoding_is_undone(text: str) -> None:
    assert views(quote(text, safe=""))[-1].text == views(text)[0].text


@given(text=st.text(st.characters(exclude_characters="\\%\"'/", exclude_categories=["Cs", "Cc"]), max_size=40))
def test_json_escapes_are_undone(text: str) -> None:
    assert views(json.dumps(text)[1:-1])[-1].text == views(text)[0].text


@given(text=st.text(st.sampled_from('a1张%2E5BC\\u0nd8"/'), max_size=40))
def test_every_view_covers_its_source_in_order(text: str) -> None:
    for view in views(text):
        starts = view.starts if view.starts is not None else list(range(len(text) + 1))
        assert len(starts) == len(view.text) + 1
        assert starts == sorted(starts)
        assert starts[-1] == len(text)
