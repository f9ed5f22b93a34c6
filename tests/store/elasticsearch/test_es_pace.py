"""How much goes to the cluster at once: more while it keeps up, half as much when it does not, never beyond bounds."""

import threading
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from secmon.store.elasticsearch.pace import (
    FIRST_BYTES,
    FIRST_REQUESTS,
    MAX_BYTES,
    MAX_BYTES_UNDER_WAY,
    MAX_REQUESTS,
    MIN_BYTES,
    Pace,
)


@dataclass
class Hand:
    """A clock that a test moves."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def answered(pace: Pace, clock: Hand, *, size: int = MIN_BYTES, took_s: float = 0.1) -> None:
    """One request that went well."""
    started = pace.start()
    clock.now_s += took_s
    pace.went_well(started, size)


def test_it_grows_step_by_step_to_its_bounds_while_all_goes_well() -> None:
    clock = Hand()
    pace = Pace(clock)
    assert (pace.bytes, pace.requests) == (FIRST_BYTES, FIRST_REQUESTS)
    answered(pace, clock)
    assert pace.requests == FIRST_REQUESTS  # one more only after a whole window
    for _ in range(200):
        answered(pace, clock)
    assert (pace.bytes, pace.requests) == (MAX_BYTES, MAX_REQUESTS)


def test_overload_halves_once_for_all_requests_that_were_under_way() -> None:
    clock = Hand()
    pace = Pace(clock)
    for _ in range(200):
        answered(pace, clock)
    under_way = [pace.start() for _ in range(MAX_REQUESTS)]
    for started in under_way:
        pace.overloaded(started)
    assert (pace.bytes, pace.requests) == (MAX_BYTES // 2, MAX_REQUESTS // 2)
    for _ in range(20):
        pace.overloaded(pace.start())
    assert (pace.bytes, pace.requests) == (MIN_BYTES, 1)


def test_requests_that_take_much_longer_than_they_could_are_an_overload_too() -> None:
    clock = Hand()
    pace = Pace(clock)
    for _ in range(50):
        answered(pace, clock)
    high = pace.requests
    for _ in range(30):
        answered(pace, clock, took_s=1.0)
    assert pace.requests < high
    assert pace.bytes == MAX_BYTES  # fewer, not smaller: each costs the cluster something


def test_a_cluster_that_has_become_slower_for_good_is_no_overload_for_ever() -> None:
    clock = Hand()
    pace = Pace(clock)
    for _ in range(50):
        answered(pace, clock)
    for _ in range(400):
        answered(pace, clock, took_s=1.0)
    assert pace.requests == MAX_REQUESTS


@given(st.lists(st.sampled_from(["well", "slow", "overloaded", "too_large"]), max_size=200))
def test_it_stays_within_its_bounds_whatever_happens(events: list[str]) -> None:
    clock = Hand()
    pace = Pace(clock)
    for event in events:
        if event == "overloaded":
            pace.overloaded(pace.start())
        elif event == "too_large":
            pace.too_large()
        else:
            answered(pace, clock, took_s=0.1 if event == "well" else 5.0)
        assert MIN_BYTES <= pace.bytes <= MAX_BYTES
        assert 1 <= pace.requests <= MAX_REQUESTS


def test_never_more_is_under_way_than_it_allows_and_all_get_through() -> None:
    pace = Pace()
    lock = threading.Lock()
    sizes = [MAX_BYTES_UNDER_WAY + 1, *[MAX_BYTES] * 6, *[1_000] * 20]
    running: list[int] = []
    seen: list[tuple[int, int]] = []

    def send(size: int) -> None:
        with pace.room(size):
            with lock:
                running.append(size)
                seen.append((len(running), sum(running)))
            pace.went_well(pace.start(), 0)
            with lock:
                running.remove(size)

    threads = [threading.Thread(target=send, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == len(sizes)
    assert max(count for count, _ in seen) <= MAX_REQUESTS
    assert all(count == 1 or total <= MAX_BYTES_UNDER_WAY for count, total in seen)
