"""Guessing a kind: what is certain is taken, what is not is not."""

from hypothesis import given
from hypothesis import strategies as st

from secmon.parse.guess import MIN_CONFIDENCE, guess
from secmon.parse.registry import KINDS

SYSLOG = b"Sep  7 08:01:09 lms01 app: x\n"


def test_a_log_of_one_kind_is_recognised() -> None:
    assert guess(SYSLOG * 10)[0] == "syslog"


def test_a_few_foreign_lines_do_not_matter() -> None:
    assert guess(SYSLOG * 9 + b"\tat a stack trace\n")[0] == "syslog"


def test_mostly_foreign_lines_are_no_kind() -> None:
    assert guess(SYSLOG + b"prose, not a log\n" * 9) == ("", 0.0)


def test_nothing_is_no_kind() -> None:
    assert guess(b"") == ("", 0.0)


def test_a_single_line_without_end_is_enough() -> None:
    assert guess(SYSLOG.rstrip())[0] == "syslog"


@given(st.binary(max_size=2000))
def test_no_bytes_break_it(sample: bytes) -> None:
    name, confidence = guess(sample)
    assert (name in KINDS and MIN_CONFIDENCE <= confidence <= 1) or (name, confidence) == ("", 0.0)
