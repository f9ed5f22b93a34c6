"""Two daemons on one Elasticsearch store: one is killed, one is frozen and comes back, and nothing shows of it."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from secmon.app import checkpoints
from tests.faults.clusters import OTHER, Load, id_of, read_by, site
from tests.faults.running import ACCESS, SOURCE, House, daemon, until

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

HEAD_LINES = 1_000
"""A stream is known by its first 64 KiB: with them there at once, ids do not depend on when it was first seen."""
WITHIN_S = 240.0
"""No goal: the machine may be busy with other things. test_leases has the time to live; how long it took is printed."""


def received(house: House) -> int:
    with house.reading() as opened:
        return sum(one.counts.received for one in checkpoints.load_all(opened, ACCESS))


def reads_everything(house: House) -> bool:
    return read_by(house) == dict.fromkeys((SOURCE, OTHER), id_of(house))


def test_one_is_killed_another_frozen_and_every_line_counts_once(tmp_path: Path) -> None:
    with site(tmp_path) as found:
        prefix = found.prefix()
        first = found.house("first", prefix)
        load = Load(found)
        load.write(HEAD_LINES)
        with daemon(first) as killed:
            load.start()
            until(lambda: reads_everything(first), "the only daemon reads everything")
            second = found.house("second", prefix, keys=first)
            with daemon(second) as other:
                until(lambda: len(set(read_by(first).values())) == 2, "both daemons read")
                killed.kill()
                took = [until(lambda: reads_everything(second), "the other one took over", within_s=WITHIN_S)]
                with daemon(first) as again:
                    until(lambda: len(set(read_by(first).values())) == 2, "both daemons read again")
                    again.freeze()
                    try:
                        frozen = "what was frozen is taken"
                        took.append(until(lambda: reads_everything(second), frozen, within_s=WITHIN_S))
                        before = received(second)
                        until(lambda: received(second) > before, "reading goes on")
                    finally:
                        again.thaw()
                    until(lambda: len(set(read_by(first).values())) == 2, "who came back takes part again")
                    other.freeze()
                    took.append(until(lambda: reads_everything(first), "the other way round", within_s=WITHIN_S))
                    other.thaw()
                    written = load.finish()
                    until(lambda: received(first) >= written, f"{written} lines received")
                    assert again.check("daemons")["state"] == "ok"
                    assert again.terminate() == 0
                until(lambda: reads_everything(second), "who stops cleanly is replaced at once", within_s=WITHIN_S)
                assert other.terminate() == 0
        assert first.numbers() == Counter(range(written))
        assert received(first) == written
        judge(first, found.house("quiet", found.prefix(), keys=first))
        sys.stdout.write(f"taken over after {', '.join(f'{seconds:.1f} s' for seconds in took)}\n")


def judge(disturbed: House, quiet: House) -> None:
    """What the disturbed daemons stored and said is what one daemon says that nobody disturbs."""
    assert disturbed.unfinished() == 0
    checked = disturbed.output("store", "check", "--deep")
    assert checked["ok"], checked
    assert quiet.done("up", "--once").returncode == 0
    assert quiet.content() == disturbed.content()
    assert quiet.output("store", "digest") == disturbed.output("store", "digest")
    assert len(quiet.alert_facts()) > 0
