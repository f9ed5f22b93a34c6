"""How large an installation has to be: never too small for what it is computed from."""

import json

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from secmon.app.sizing import (
    COSTS,
    DAY_S,
    GB,
    MAX_SHARDS_PER_NODE,
    SHARD_BYTES,
    WATERMARK,
    Plan,
    plan,
)
from secmon.cli.root import cli


def test_a_county_fits_one_machine_and_a_province_does_not() -> None:
    county, province = plan(events_per_second=200, days=180), plan(events_per_second=30_000, days=180)
    assert county.embedded_is_enough
    assert not province.embedded_is_enough
    assert province.nodes > county.nodes == 3


@given(
    rate=st.floats(0.01, 1_000_000),
    days=st.integers(1, 4_000),
    kind=st.sampled_from(sorted(COSTS)),
    replicas=st.integers(0, 2),
)
def test_the_nodes_hold_what_comes_in(rate: float, days: int, kind: str, replicas: int) -> None:
    found = plan(events_per_second=rate, days=days, kind=kind, replicas=replicas)
    events = rate * DAY_S * days
    assert found.events >= events
    assert found.embedded_bytes >= events * COSTS[kind].embedded
    assert found.disk_per_node_bytes * found.nodes * WATERMARK * 1.000001 >= events * COSTS[kind].cluster * (
        1 + replicas
    )
    assert found.disk_per_node_bytes <= 4_000 * GB
    assert found.shards <= found.nodes * MAX_SHARDS_PER_NODE
    assert found.shards_per_day * SHARD_BYTES * 1.000001 >= rate * DAY_S * COSTS[kind].cluster
    assert found.nodes >= (3 if replicas else 1)


@given(rate=st.floats(1, 100_000), days=st.integers(1, 1_000))
def test_more_is_never_less(rate: float, days: int) -> None:
    small, large = plan(events_per_second=rate, days=days), plan(events_per_second=rate * 2, days=days + 1)
    assert large.nodes >= small.nodes
    assert large.disk_bytes > small.disk_bytes
    assert large.shards >= small.shards


def test_the_command_prints_the_plan() -> None:
    told = CliRunner().invoke(cli, ["store", "size", "--events-per-second", "5000", "--days", "180"])
    assert told.exit_code == 0
    assert Plan(**json.loads(told.output)) == plan(events_per_second=5_000, days=180)


def test_the_command_refuses_what_is_no_rate() -> None:
    assert CliRunner().invoke(cli, ["store", "size", "--events-per-second", "0"]).exit_code == 2
