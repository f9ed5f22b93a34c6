"""Varied events: many different ones of few, what rules look for left as it is, and the same ones every time."""

import ipaddress
from random import Random
from typing import Any

import orjson

from bench.varied import Variation, varied

LOGIN = {
    "event.dataset": "aws.cloudtrail",
    "eventTime": "2023-04-11T15:24:00Z",
    "eventName": "ConsoleLogin",
    "sourceIPAddress": "192.0.2.7",
    "userIdentity": {"arn": "arn:aws:iam::123456789012:user/alice", "mail": ["alice@example.edu.cn"]},
    "requestID": "0a1b2c3d4e",
}


def as_it_is(event: dict[str, Any], variation: Variation, random: Random) -> None:
    """Change nothing more."""


def lines(count: int) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in varied([LOGIN], count, change=as_it_is)]


def test_every_event_is_another_one() -> None:
    assert len({orjson.dumps(event) for event in lines(500)}) == 500


def test_names_and_kinds_stay() -> None:
    (event,) = lines(1)
    assert list(event) == list(LOGIN)
    assert (event["eventName"], event["event.dataset"]) == ("ConsoleLogin", "aws.cloudtrail")
    assert event["userIdentity"]["arn"].endswith(":user/alice")
    assert event["userIdentity"]["mail"][0].endswith("@example.edu.cn")


def test_addresses_are_of_a_range_that_nobody_has() -> None:
    network = ipaddress.ip_network("198.18.0.0/15")
    assert all(ipaddress.ip_address(event["sourceIPAddress"]) in network for event in lines(50))


def test_times_only_grow() -> None:
    times = [event["eventTime"] for event in lines(50)]
    assert times == sorted(times)
    assert times[-1] > times[0] >= "2026-09-01T00:00:00Z"


def test_they_are_the_same_every_time() -> None:
    assert lines(5) == lines(5)
