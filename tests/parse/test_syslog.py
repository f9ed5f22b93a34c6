"""Syslog: headers, what nobody can forge through a message, and that no text breaks the parser."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record
from secmon.parse import pam
from secmon.parse.programs import MAX_INTERPRETED
from secmon.parse.rfc5424 import MAX_PARAMETERS
from secmon.parse.syslog import PROGRAMS, parse

CONTEXT = ParseContext(ZoneInfo("Asia/Shanghai"), datetime(2026, 9, 8, tzinfo=UTC))
NAMES = st.text(st.characters(exclude_characters="\n\r"), min_size=1)


def read(text: str) -> Event:
    result = parse(Record(text, "syslog:record 7"), CONTEXT)
    assert not isinstance(result, Dropped)
    (event,) = result
    return event


def message(text: str, program: str = "sshd[42]") -> Event:
    return read(f"Sep  7 08:01:09 lms01 {program}: {text}")


@given(NAMES)
def test_a_user_name_cannot_forge_the_source_address_of_a_login(name: str) -> None:
    user = f"{name} from 10.0.0.1 port 1 ssh2"
    event = message(f"Failed password for invalid user {user} from 192.0.2.9 port 22 ssh2")
    assert (event["source.ip"], event["source.port"], event["user.name"]) == ("192.0.2.9", 22, user)


@given(NAMES)
def test_a_user_name_cannot_forge_the_end_of_a_connection(name: str) -> None:
    event = message(f"Connection closed by invalid user {name} 10.0.0.1 port 1 192.0.2.9 port 22 [preauth]")
    assert (event["source.ip"], event["source.port"]) == ("192.0.2.9", 22)


@given(NAMES)
def test_a_user_name_cannot_turn_a_failure_into_a_success(name: str) -> None:
    event = message(f"Failed password for Accepted password for {name} from 192.0.2.9 port 22 ssh2")
    assert event["event.outcome"] == "failure"


@given(NAMES)
def test_a_sudo_argument_cannot_hide_the_command(argument: str) -> None:
    event = message(f"guest : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/rm {argument} ; COMMAND=/bin/true", "sudo")
    assert event["process.executable"] == "/bin/rm"
    assert event["user.effective.name"] == "root"


def test_a_folder_cannot_hide_the_command() -> None:
    event = message("guest : TTY=pts/0 ; PWD=/x ; COMMAND=/bin/true ; USER=root ; COMMAND=/bin/sh", "sudo")
    assert "/bin/sh" in str(event["process.command_line"])


@pytest.mark.parametrize("service", ["sshd", "su", "sudo"])
def test_a_pam_line_beside_a_programs_own_is_no_second_attempt(service: str) -> None:
    failure = "authentication failure; logname= uid=0 euid=0 tty= ruser=a rhost=192.0.2.9  user=b"
    assert message(f"pam_unix({service}:auth): {failure}")["event.type"] == ["info"]
    assert message(f"pam_unix(vsftpd:auth): {failure}", "vsftpd")["event.type"] == ["start"]


def test_a_long_message_is_kept_but_not_interpreted() -> None:
    text = f"Failed password for {'x' * MAX_INTERPRETED} from 192.0.2.9 port 22 ssh2"
    event = message(text)
    assert event["message"] == text
    assert "event.action" not in event


def test_a_process_id_that_only_looks_like_a_number_is_left_out() -> None:
    assert "process.pid" not in message("x", "app[²]")


def test_an_ipv6_host_is_no_tag() -> None:
    event = read("Sep  7 08:01:09 2001:db8::1 app: x")
    assert (event["host.name"], event["process.name"]) == ("2001:db8::1", "app")


def test_the_priority_gives_facility_and_severity() -> None:
    event = read("<165>Sep  7 08:01:09 h app: x")
    assert (event["log.syslog.facility.name"], event["log.syslog.severity.name"]) == ("local4", "notice")


def test_too_many_parameters_are_kept_in_the_text_only() -> None:
    pairs = " ".join(f'p{number}="1"' for number in range(MAX_PARAMETERS + 50))
    event = read(f"<13>1 - h app - - [x {pairs}] m")
    assert len([name for name in event if name.startswith("log.syslog.structured_data.")]) == MAX_PARAMETERS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<192>Sep  7 08:01:09 h app: x", "no such syslog priority"),
        ("Feb 30 08:01:09 h app: x", "no such date"),
        ("2026-09-07T08:61:09Z h app: x", "no such time"),
        ("<13>1 2026-09-07T08:01:09Z h app", "not the header of RFC 5424"),
        ("<13>1 2026-09-07T08:01:09Z h app - - x", "broken structured data"),
    ],
)
def test_a_broken_header_is_refused_without_quoting_it(text: str, problem: str) -> None:
    with pytest.raises(ParseError) as caught:
        read(text)
    assert str(caught.value) == f"syslog:record 7: {problem}"


@pytest.mark.parametrize("text", ["", "  ", "\t"])
def test_a_blank_line_is_dropped(text: str) -> None:
    assert parse(Record(text, "x"), CONTEXT) == Dropped("blank")


HEADERS = ["", "<34>", "Sep  7 08:01:09 h ", "<13>1 2026-09-07T08:01:09Z h sshd 1 - - ", "2026-09-07T08:01:09Z h su: "]


@given(
    st.sampled_from(HEADERS), st.text() | st.from_regex(r"(Accepted|Failed|pam_unix\(a:b\):|User) .*", fullmatch=True)
)
def test_no_text_breaks_the_parser(header: str, text: str) -> None:
    try:
        result = parse(Record(header + text, "x"), CONTEXT)
    except ParseError as error:
        assert error.problem  # noqa: PT017  either outcome is right
    else:
        assert isinstance(result, Dropped) or result[0]["event.kind"] == "event"


@given(st.sampled_from(sorted(PROGRAMS)), st.text())
def test_no_message_breaks_a_program(program: str, text: str) -> None:
    fields = PROGRAMS[program].read(text)
    assert fields is None or all(value not in (None, "", []) for value in fields.values())


STARTS = ["", "Invalid user ", "error: PAM: x for ", "add 'x", "Starting session: x for ", "Address ", "User "]
PIECES = [
    "(root) CMD (",
    "' to group '",
    " from ",
    " for ",
    " ; USER=",
    "deadbeef",
    " by ",
    "\\",
    ": ",
    " port 1",
    "a" * 50,
]
HOSTILE = [(start + piece * MAX_INTERPRETED)[:MAX_INTERPRETED] for start, piece in product(STARTS, PIECES)]


def seconds(read: Callable[[str], object], text: str) -> float:
    began = perf_counter()
    read(text)
    return perf_counter() - began


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_no_message_takes_more_than_linear_time(program: str) -> None:
    assert max(seconds(PROGRAMS[program].read, text) for text in HOSTILE) < 0.5


def test_no_pam_message_takes_more_than_linear_time() -> None:
    heads = ("session opened for user ", "authentication failure; logname=")
    texts = [f"pam_unix(sshd:x): {head}{text}"[:MAX_INTERPRETED] for head in heads for text in HOSTILE]
    assert max(seconds(pam.read, text) for text in texts) < 0.5
