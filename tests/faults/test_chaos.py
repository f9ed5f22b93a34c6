"""Three nodes, two daemons, steady load: each is killed in turn, who holds leases is frozen, and nothing shows of it.

"Acknowledged" is a record that stands before the committed checkpoint of its stream. SECMON_FAULT_LOOPS makes it long.
"""

import json
import os
import random
import re
import signal
import statistics
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from scripts.elasticsearch.server import Cluster, Options, free_port, restart_node, running_cluster
from secmon.app import checkpoints
from secmon.app.leases import FORWARD, peers, valid_leases
from secmon.errors import StoreUnavailableError
from tests.faults.clusters import OTHER, Load, Site, id_of, read_by
from tests.faults.running import ACCESS, SOURCE, Daemon, House, is_alive, is_balanced, log_line, loops, until

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

LOOPS = loops(0)
ROUNDS = max(1, LOOPS // 40)  # a long round kills five processes and freezes two: minutes
NODES = 3
HEAD_LINES = 1_000
"""A stream is known by its first 64 KiB: with them there at once, ids do not depend on when it was first seen."""
WITHIN_S = 240.0
"""No goal: the machine may be busy. How long a takeover took is printed."""
_NUMBER = re.compile(r"n=(\d+) HTTP")


def numbers_in(lines: list[str]) -> list[int]:
    """Return the numbers of lines that become events; blank and malformed ones have none."""
    return [int(found[1]) for line in lines if (found := _NUMBER.search(line))]


@dataclass
class Scene:
    """Everything that runs, and what was seen of it.

    Args:
        site: logs and store.
        options: of the cluster.
        cluster: its nodes, as they run now.
        load: what is being written.
        houses: of both daemons.
        daemons: in the order of `houses`.
        takeovers_s: how long each daemon that was killed or frozen was missed.
        outages_s: how long all that was written when a node died waited to be acknowledged.
    """

    site: Site
    options: Options
    cluster: Cluster
    load: Load
    houses: list[House]
    daemons: list[Daemon] = field(default_factory=list)
    takeovers_s: list[float] = field(default_factory=list)
    outages_s: list[float] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(20261122))  # noqa: S311  no secret

    def ask(self, path: str) -> object:
        """Ask the first node that answers; None if none does as it should."""
        for url in self.cluster.urls:
            with suppress(OSError), urllib.request.urlopen(url + path, timeout=20) as answer:  # noqa: S310  our own
                return json.load(answer)
        return None

    def is_whole(self) -> bool:
        """Tell whether all shards are on two nodes: only then may the next node die."""
        return self.ask("/_cluster/health?wait_for_status=green&timeout=2s") is not None

    def primary_of_batches(self) -> int:
        """Return the number of the node whose shard decides what counts."""
        shards = self.ask(f"/_cat/shards/{self.site.prefixes[0]}-batches?format=json")
        assert isinstance(shards, list)
        (name,) = [one["node"] for one in shards if one["prirep"] == "p"]
        return int(name.removeprefix("node"))

    def acknowledged(self) -> dict[str, int]:
        """Return source → how many of its records stand before the checkpoint."""
        with self.houses[0].reading() as house:
            found = {one.source: one.position.number for one in checkpoints.load_all(house, ACCESS)}
        return {source: found.get(source, 0) for source in (SOURCE, OTHER)}

    def has_acknowledged(self, written: int) -> bool:
        return self.answers(lambda: sum(self.acknowledged().values()) >= written)

    def owners(self) -> set[str]:
        """Return the ids of the daemons that read."""
        return set(read_by(self.houses[0]).values())

    def is_shared(self) -> bool:
        """Tell whether both daemons read, and one of them brings alerts forward."""
        ours = {id_of(house) for house in self.houses}
        return self.answers(lambda: self.owners() == ours and self.forward() in ours)

    def forward(self) -> str:
        """Return the id of the daemon that brings alerts forward, "" if there is none."""
        with self.houses[0].reading() as house:
            lease = valid_leases(house, ACCESS, peers(house, ACCESS)).get(FORWARD)
        return lease.owner if lease else ""

    def forwarder(self) -> int:
        """Return the number of the daemon that holds the most."""
        return [id_of(house) for house in self.houses].index(self.forward())

    def is_alone(self, number: int) -> bool:
        """Tell whether one daemon holds everything."""
        mine = id_of(self.houses[number])
        return self.answers(lambda: self.owners() == {mine} and len(read_by(self.houses[0])) == 2) and self.answers(
            lambda: self.forward() == mine
        )

    @staticmethod
    def answers(is_so: Callable[[], bool]) -> bool:
        """Tell whether something is so; a cluster that is about to lose or find a node says nothing."""
        with suppress(StoreUnavailableError):
            return is_so()
        return False

    def end(self) -> None:
        """End the daemons, also one that is frozen."""
        for running in self.daemons:
            running.kill()

    def pause(self) -> None:
        """Let them work, so that what comes next comes in the middle of something."""
        time.sleep(self.chance.uniform(0.0, 1.5))


def kill_node(scene: Scene, number: int) -> None:
    """SIGKILL a node; without it everything goes on; then it comes back."""
    scene.pause()
    pid = scene.cluster.pids[number]
    os.kill(pid, signal.SIGKILL)
    written = scene.load.written
    until(lambda: not is_alive(pid), "the node is dead")
    took_s = until(lambda: scene.has_acknowledged(written), "reading goes on without a node", within_s=WITHIN_S)
    scene.outages_s.append(took_s)
    scene.cluster = restart_node(scene.cluster, scene.options, number)
    until(scene.is_whole, "every shard has its copy again", within_s=WITHIN_S)
    until(scene.is_shared, "both daemons read", within_s=WITHIN_S)


def kill_daemon(scene: Scene, number: int) -> None:
    """SIGKILL a daemon; the other takes over; then it comes back."""
    scene.pause()
    scene.daemons[number].kill()
    missed(scene, number)
    scene.daemons[number] = Daemon(scene.houses[number])
    until(scene.is_shared, "both daemons read again", within_s=WITHIN_S)


def freeze_daemon(scene: Scene, number: int) -> None:
    """SIGSTOP a daemon wherever it is; the other takes over and goes on; then SIGCONT."""
    scene.pause()
    scene.daemons[number].freeze()
    try:
        missed(scene, number)
    finally:
        scene.daemons[number].thaw()
    until(scene.is_shared, "who was frozen takes part again", within_s=WITHIN_S)


def missed(scene: Scene, number: int) -> None:
    """Wait until the other daemon has everything, and has read what was written meanwhile."""
    scene.takeovers_s.append(until(lambda: scene.is_alone(1 - number), "the other took over", within_s=WITHIN_S))
    written = scene.load.written
    until(lambda: scene.has_acknowledged(written), "the other reads on", within_s=WITHIN_S)


def troubles(scene: Scene) -> Iterator[Callable[[], None]]:
    """Yield what is done to them: one of each kind, or, in the long form, everything to everybody in turn."""
    if not LOOPS:
        yield partial(kill_node, scene, scene.primary_of_batches())
        yield partial(kill_daemon, scene, scene.forwarder())
        yield partial(freeze_daemon, scene, scene.forwarder())
        return
    for _ in range(ROUNDS):
        yield partial(kill_node, scene, scene.primary_of_batches())
        for number in range(NODES):
            yield partial(kill_node, scene, number)
        for number in (0, 1):
            yield partial(kill_daemon, scene, number)
        for number in (0, 1):
            yield partial(freeze_daemon, scene, number)


@contextmanager
def running_scene(folder: Path) -> Iterator[Scene]:
    """Run three nodes, two daemons and the load; whatever happens, nothing of it is left."""
    options = Options(port=free_port(NODES), nodes=NODES, heap="384m")
    with ExitStack() as stack:
        cluster = stack.enter_context(running_cluster(options))
        site = Site(folder, urls=cluster.urls, replicas=1)
        prefix = site.prefix()
        first = site.house("first", prefix)
        load = Load(site, every_s=0.1 if LOOPS else 0.2, line=log_line)
        scene = Scene(site, options, cluster, load, [first])
        stack.callback(scene.end)
        load.write(HEAD_LINES)
        scene.daemons.append(Daemon(first))
        scene.houses.append(site.house("second", prefix, keys=first))
        scene.daemons.append(Daemon(scene.houses[1]))
        stack.callback(load.finish)
        load.start()
        until(scene.is_shared, "both daemons read", within_s=WITHIN_S)
        until(scene.is_whole, "every shard has its copy", within_s=WITHIN_S)
        yield scene


def test_nothing_shows_of_nodes_and_daemons_that_were_killed_or_frozen(tmp_path: Path) -> None:
    with running_scene(tmp_path) as scene:
        before = scene.acknowledged()
        for hurt in troubles(scene):
            hurt()
            after = scene.acknowledged()
            assert all(after[source] >= before[source] for source in before), "a checkpoint went back"
            check_acknowledged(scene, after)
            before = after
        written = scene.load.finish()
        until(lambda: scene.has_acknowledged(written), f"{written} lines acknowledged", within_s=WITHIN_S)
        for running in scene.daemons:
            assert running.terminate() == 0
            assert "Traceback" not in running.log()
        judge(scene, scene.site.embedded("quiet", scene.houses[0]), written)
        told = f"{written} lines; nodes missed {spread(scene.outages_s)}, daemons {spread(scene.takeovers_s)}\n"
        sys.stdout.write(told)


def check_acknowledged(scene: Scene, acknowledged: dict[str, int]) -> None:
    """Of what was acknowledged nothing is lost, and nothing at all is there twice, in the middle of everything."""
    stored = scene.houses[0].numbers()
    for source, records in acknowledged.items():
        lines = scene.site.log(source).read_text(encoding="utf-8").splitlines()[:records]
        assert not [number for number in numbers_in(lines) if number not in stored], f"{source}: acknowledged and lost"
    assert set(stored.values()) == {1}


def judge(scene: Scene, quiet: House, written: int) -> None:
    """What they stored and said is what one uninterrupted import into the embedded store says."""
    disturbed, lines = scene.houses[0], {}
    for source in (SOURCE, OTHER):
        lines[source] = scene.site.log(source).read_text(encoding="utf-8").splitlines()
        account = disturbed.output("sources", "show", source, "--json")
        assert is_balanced(account), account
        assert (account["received"], account["in_flight"]) == (len(lines[source]), 0), account
        quiet.output("import", "--source", source, str(scene.site.log(source)))
    assert written == sum(map(len, lines.values()))
    assert disturbed.numbers() == Counter(numbers_in(lines[SOURCE] + lines[OTHER]))
    assert disturbed.unfinished() == 0
    checked = disturbed.output("store", "check", "--deep")
    assert checked["ok"], checked
    assert disturbed.content() == quiet.content()
    assert disturbed.output("store", "digest") == quiet.output("store", "digest")
    assert disturbed.alert_facts() == quiet.alert_facts()
    assert quiet.alert_facts()


def spread(seconds: list[float]) -> str:
    """Return number, median and maximum, for people."""
    return f"{len(seconds)} times, median {statistics.median(seconds):.1f} s, most {max(seconds):.1f} s"
