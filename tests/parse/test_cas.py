"""CAS audit trails: what the record tells, what nobody can forge, and that no text breaks the parser."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record
from secmon.parse.cas import CAS

CONTEXT = ParseContext(ZoneInfo("Asia/Shanghai"), datetime(2026, 9, 8, tzinfo=UTC))
PREFIX = "2026-09-07 08:01:09,424 INFO [org.apereo.inspektr.audit.support.Slf4jLoggingAuditTrailManager] - "


def read(text: str) -> Event:
    result = CAS.parse(Record(text, "cas:record 7"), CONTEXT)
    assert not isinstance(result, Dropped)
    (event,) = result
    return event


def block(*, who: str = "li", what: str = "x", action: str = "AUTHENTICATION_FAILED", when: str = "") -> str:
    rule = "=" * 61
    when = when or "Mon Sep 07 08:01:09 CST 2026"
    lines = [f"WHO: {who}", f"WHAT: {what}", f"ACTION: {action}", f"WHEN: {when}", "CLIENT IP ADDRESS: 192.0.2.9"]
    return "\n".join([f"{PREFIX}<Audit trail record BEGIN", rule, *lines, rule, "", ">"])


def one_line(*, who: str = "li", what: str = "x", action: str = "AUTHENTICATION_FAILED") -> str:
    return f"{PREFIX}Mon Sep 07 08:01:09 CST 2026|CAS|{what}|{action}|{who}|192.0.2.9|10.1.1.5"


@pytest.mark.parametrize("text", [block(), one_line()])
def test_both_layouts_say_the_same(text: str) -> None:
    event = read(text)
    assert (event["@timestamp"], event["user.name"], event["source.ip"], event["event.outcome"]) == (
        "2026-09-07T00:01:09.424Z",
        "li",
        "192.0.2.9",
        "failure",
    )


def test_the_zone_that_a_record_names_counts_more_than_the_sources() -> None:
    assert read(block(when="Mon Sep 07 08:01:09 UTC 2026"))["@timestamp"] == "2026-09-07T08:01:09.424Z"


def test_a_time_that_is_not_the_loggers_second_is_the_records_own() -> None:
    assert read(block(when="Mon Sep 07 08:01:08 CST 2026"))["@timestamp"] == "2026-09-07T00:01:08.000Z"


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        ("AUTHENTICATION_SUCCESS", "success"),
        ("SERVICE_TICKET_VALIDATE_FAILED", "failure"),
        ("SERVICE_TICKET_NOT_CREATED", "failure"),
        ("TICKET_GRANTING_TICKET_DESTROYED", None),
        ("AUTHENTICATION_EVENT_TRIGGERED", None),
    ],
)
def test_the_outcome_is_there_only_where_the_action_tells_it(action: str, outcome: str | None) -> None:
    assert read(block(action=action)).get("event.outcome") == outcome


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_user_name_with_line_breaks_cannot_forge_a_block(name: str) -> None:
    forged = f"{name}\nACTION: AUTHENTICATION_SUCCESS\nCLIENT IP ADDRESS: 10.0.0.1\nWHO: admin"
    event = read(block(who=f"mallory{forged}", what=forged))
    assert (event["event.action"], event["event.outcome"], event["source.ip"]) == (
        "AUTHENTICATION_FAILED",
        "failure",
        "192.0.2.9",
    )
    assert event.get("user.name") != "admin"


@given(st.text(st.characters(exclude_characters="\n|")))
def test_a_user_name_with_bars_cannot_forge_a_line(name: str) -> None:
    forged = f"{name}|AUTHENTICATION_SUCCESS|admin|10.0.0.1|10.1.1.5"
    with pytest.raises(ParseError, match="cannot be told apart"):
        read(one_line(who=forged, what=f"Supplied credentials: [{forged}]"))


def test_a_service_url_with_a_bar_is_read_whole() -> None:
    event = read(one_line(what="ST-1-x for https://a.example.edu.cn/b?c=1|2", action="SERVICE_TICKET_CREATED"))
    assert (event["url.domain"], event["url.query"]) == ("a.example.edu.cn", "c=1|2")


@pytest.mark.parametrize("nobody", ["audit:unknown", "", "[unknown]"])
def test_nobody_has_no_name(nobody: str) -> None:
    assert "user.name" not in read(block(who=nobody))


@given(
    st.sampled_from(["", PREFIX, f"{PREFIX}<Audit trail record BEGIN\n", "Mon Sep 07 08:01:09 CST 2026|"]),
    st.text() | st.from_regex(r"(WHO|WHAT|ACTION|WHEN): [A-Z_]+\n", fullmatch=True) | st.from_regex(r"(\w*\|){3,9}"),
)
def test_no_text_breaks_the_parser(start: str, text: str) -> None:
    try:
        result = CAS.parse(Record(start + text, "x"), CONTEXT)
    except ParseError as error:
        assert error.problem  # noqa: PT017  either outcome is right
    else:
        assert isinstance(result, Dropped) or result[0]["event.module"] == "cas"
