"""The query language: what each spelling means, and how a query that cannot be read is told."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import QueryError
from secmon.model.event import to_micros
from secmon.model.query import (
    ANY_TEXT,
    EVERYTHING,
    AllOf,
    AnyOf,
    During,
    Equals,
    Exists,
    Holds,
    Like,
    Not,
    Numbers,
    Query,
    Says,
    predicate,
)
from secmon.model.query_text import MAX_CONDITIONS, MAX_DEPTH, MAX_LENGTH, parse_query

A, B, C = (Equals("user.name", name) for name in "abc")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", EVERYTHING),
        ("  \u3000 ", EVERYTHING),
        ("*", EVERYTHING),
        ("user.name:alice", Equals("user.name", "alice")),
        ("user.name : alice", Equals("user.name", "alice")),
        ("user.name: alice", Equals("user.name", "alice")),
        ('user.name:"Li Lei"', Equals("user.name", "Li Lei")),
        ('user.name:"a*"', Equals("user.name", "a*")),
        ("user.name：“王 小明”", Equals("user.name", "王 小明")),
        ("url.path:/admin/*", Like("url.path", "/admin/*")),
        ("url.path:/a?b", Like("url.path", "/a?b")),
        (r"url.path:/a\*b", Equals("url.path", "/a*b")),
        (r"url.path:/a\*b*", Like("url.path", r"/a\*b*")),
        (r"process.executable:C:\Windows\cmd.exe", Equals("process.executable", r"C:\Windows\cmd.exe")),
        (r"process.executable:C:\Windows\\*", Like("process.executable", r"C:\\Windows\\*")),
        ("user.name:*", Exists("user.name")),
        ("user.name:[* TO *]", Exists("user.name")),
        ("_exists_:user.name", Exists("user.name")),
        ("message:failed", Says("message", ("failed",))),
        ('message:"failed password"', Says("message", ("failed", "password"))),
        ("message:*etc?passwd*", Holds("message", "*etc?passwd*")),
        ("导出学籍", Says(ANY_TEXT, ("导", "出", "学", "籍"))),
        ('"failed password"', Says(ANY_TEXT, ("failed", "password"))),
        ("192.0.2.1", Says(ANY_TEXT, ("192", "0", "2", "1"))),
        ("passw*", Holds(ANY_TEXT, "passw*")),
        ("user.name:a user.name:b", AllOf((A, B))),
        ("user.name:a AND user.name:b", AllOf((A, B))),
        ("user.name:a and user.name:b or user.name:c", AnyOf((AllOf((A, B)), C))),
        ("user.name:a and (user.name:b or user.name:c)", AllOf((A, AnyOf((B, C))))),
        ("user.name:a （user.name:b OR user.name:c）", AllOf((A, AnyOf((B, C))))),
        ("user.name:(a OR b OR c)", AnyOf((A, B, C))),
        ("user.name:(a not b)", AllOf((A, Not(B)))),
        ("not user.name:a", Not(A)),
        ("NOT not user.name:a", A),
        ('"not" user.name:a', AllOf((Says(ANY_TEXT, ("not",)), A))),
        ("notes", Says(ANY_TEXT, ("notes",))),
        ("to", Says(ANY_TEXT, ("to",))),
        ("not:a", Equals("not", "a")),
        ("n:>=500", Numbers(field="n", low=Decimal(500))),
        ("n:> 1.5", Numbers(field="n", low=Decimal("1.5"), above=True)),
        ("n:<-3", Numbers(field="n", high=Decimal(-3), below=True)),
        ("n:[1 TO 5}", Numbers(field="n", low=Decimal(1), high=Decimal(5), below=True)),
        ("n:{* to 5]", Numbers(field="n", high=Decimal(5), above=True)),
    ],
)
def test_each_spelling_means_one_thing(text: str, query: Query) -> None:
    assert parse_query(text) == query


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("2026-09-07", "2026-09-07T00:00+08:00", "2026-09-08T00:00+08:00"),
        ("2026-09-07T08", "2026-09-07T08:00+08:00", "2026-09-07T09:00+08:00"),
        ("2026-09-07T08:05", "2026-09-07T08:05+08:00", "2026-09-07T08:06+08:00"),
        ("2026-09-07T08:05:01Z", "2026-09-07T08:05:01+00:00", "2026-09-07T08:05:02+00:00"),
        ('"2026-09-07 08:05:01.5"', "2026-09-07T08:05:01.5+08:00", "2026-09-07T08:05:01.6+08:00"),
        (">=2026-09-07", "2026-09-07T00:00+08:00", ""),
        (">2026-09-07", "2026-09-08T00:00+08:00", ""),
        ("<2026-09-07", "", "2026-09-07T00:00+08:00"),
        ("<=2026-09-07", "", "2026-09-08T00:00+08:00"),
        ("[2026-09-07 TO 2026-09-08]", "2026-09-07T00:00+08:00", "2026-09-09T00:00+08:00"),
        ("{2026-09-07 TO 2026-09-08}", "2026-09-08T00:00+08:00", "2026-09-08T00:00+08:00"),
    ],
)
def test_a_day_or_minute_is_meant_as_a_whole_in_the_zone_of_the_reader(text: str, since: str, until: str) -> None:
    found = parse_query(f"@timestamp:{text}", zone=ZoneInfo("Asia/Shanghai"))
    assert found == During(
        field="@timestamp",
        since=to_micros(datetime.fromisoformat(since)) if since else None,
        until=to_micros(datetime.fromisoformat(until)) if until else None,
    )


@pytest.mark.parametrize(
    ("text", "address", "matched"),
    [
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "192.0.3.0", False),
        ("192.0.2.9/24", "192.0.2.1", True),
        ("192.0.2.0/24", "::ffff:192.0.2.7", True),
        ("192.0.2.0/24", "192.0.2.0/24", True),
        ("2001:db8::1", "2001:0DB8:0::1", True),
        ("2001:db8::/32", "2001:db9::", False),
        ("[192.0.2.5 TO 192.0.2.9]", "192.0.2.5", True),
        ("{192.0.2.5 TO 192.0.2.9}", "192.0.2.5", False),
        ("<192.0.2.9", "192.0.2.8", True),
        ("192.0.2.0/24", "fe80::1%eth0", False),
        ("192.0.2.0/24", "no address", False),
    ],
)
def test_networks_and_ranges_of_addresses(text: str, address: str, *, matched: bool) -> None:
    assert predicate(parse_query(f"source.ip:{text}"))({"source.ip": address}) is matched


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("user.name:", 11, "a value is missing behind the colon"),
        ("(a", 1, "this parenthesis is not closed"),
        ("a )", 3, "this parenthesis was not opened"),
        ('a "b', 3, "this quotation mark is not closed"),
        ("a or", 5, "a condition is missing here"),
        ("and a", 1, "a condition is missing here"),
        ("a:()", 4, "a condition is missing here"),
        ("n:[1 5]", 6, "TO is missing in the range"),
        ("n:[1 TO 5", 3, "this range is not closed"),
        ("n:>", 4, "an end of the range is missing"),
        ("n:>abc", 4, "a range goes over numbers, times or addresses"),
        ("n:[1 TO 192.0.2.1]", 4, "a range goes over numbers, times or addresses"),
        ("@timestamp:>5", 13, "a range goes over numbers, times or addresses"),
        ("@timestamp:2026-02-30", 12, "there is no such day or time"),
        ("@timestamp:yesterday", 12, "this is not a time"),
        ("@timestamp:2026*", 12, "this is not a time"),
        ("a*:b", 1, "a field must be named before the colon"),
        (":b", 1, "a field must be named before the colon"),
        ("---", 1, "there is no letter or digit to look for"),
        ("a" * (MAX_LENGTH + 1), MAX_LENGTH + 1, "the query is too long"),
        ("(" * (MAX_DEPTH + 1), MAX_DEPTH + 1, "too many parentheses inside each other"),
        ("a " * (MAX_CONDITIONS + 1), 2 * MAX_CONDITIONS + 3, "the query has too many conditions"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_column(text: str, column: int, problem: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(text)
    assert (caught.value.where, caught.value.problem) == (f"query:{column}", problem)
    assert caught.value.hint


SIGNS = '()[]{}<>:"\\*? \u3000（）：“”-=./'
PARTS = st.sampled_from(
    [*SIGNS, "and ", " or ", "not ", " TO ", "user.name", "学籍", "500", "2026-09-07", "192.0.2.0/24"]
)
EVENT = {"@timestamp": "2026-09-07T00:00:00.000Z", "user.name": "学籍"}


def read(text: str) -> Query | QueryError:
    try:
        return parse_query(text, zone=UTC)
    except QueryError as error:
        return error


@given(text=st.text(max_size=40) | st.lists(PARTS, max_size=25).map("".join))
def test_no_text_breaks_the_reader_and_what_is_read_can_be_asked(text: str) -> None:
    found = read(text)
    assert isinstance(found, QueryError) or isinstance(predicate(found)(dict(EVENT)), bool)


@given(text=st.text(max_size=40))
def test_an_error_quotes_nothing_of_the_query(text: str) -> None:
    found = read(f'秘密4711{text} user.name:>"4711')
    assert not isinstance(found, QueryError) or "4711" not in str(found)
