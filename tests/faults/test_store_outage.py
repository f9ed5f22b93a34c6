"""A real daemon on a real cluster that dies and comes back: files vanish and the daemon is killed meanwhile."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.elasticsearch.server import Cluster, Options, restart, running_cluster
from secmon.config import load_settings
from secmon.errors import StoreUnavailableError
from secmon.store.vault import open_vault
from secmon.wiring import spool_of
from tests.faults.running import (
    ACCESS,
    SOURCE,
    Daemon,
    House,
    daemon,
    is_alive,
    is_balanced,
    until,
    web_line,
)

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

OPTIONS = Options(port=9670)
WITHIN_S = 180.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster(OPTIONS) as running:
        yield running


@dataclass
class Log:
    """One log that is written, and deleted once it was read."""

    path: Path
    lines: int = 0

    def write(self, count: int) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            for number in range(self.lines, self.lines + count):
                target = f"/admin/shell.jsp?cmd=id&n={number}" if number % 89 == 0 else f"/jwxt?n={number}"
                file.write(web_line(target, number) + "\n")
        self.lines += count

    def rotate_away(self) -> None:
        """Rename it and delete what was renamed."""
        rotated = self.path.with_suffix(".log.1")
        self.path.replace(rotated)
        rotated.unlink()


def put_by(house: House) -> int:
    """Return how many records of all streams are stored or put by, of the streams in the spool."""
    settings = load_settings(house.config)
    spool = spool_of(settings, open_vault(settings["keys.vault_file"]), writable=False)
    assert spool is not None
    return sum(end.position.number for end in spool.ends(ACCESS, SOURCE))


def stored(house: House) -> int:
    """Return how many lines are stored; -1 while the shards of a cluster that came back are not all there."""
    with suppress(StoreUnavailableError):
        return house.numbers().total()
    return -1


def pieces(house: House) -> list[Path]:
    return list((house.state / "spool").glob("*.part"))


def test_a_cluster_that_dies_costs_nothing_though_files_vanish_and_the_daemon_is_killed(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir()
    log = Log(tmp_path / "logs" / "access.log")
    house = House(tmp_path / "house", [f"{log.path}*"], workers=0)
    with house.config.open("a", encoding="utf-8") as file:
        file.write(
            f'[store]\nkind = "elasticsearch"\n[store.elasticsearch]\nurls = ["{cluster.url}"]\n'
            'prefix = "outage"\nreplicas = 0\ntimeout = "10s"\n'
        )
    log.write(200)
    with daemon(house) as running:
        until(lambda: stored(house) == 200, "the first lines are stored", within_s=WITHIN_S, every_s=1)
        kill(cluster)
        sit_out(house, log, running)
        running.kill()
    again = subprocess.Popen(house.command("up"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        log.write(100)
        until(lambda: put_by(house) == log.lines, "a daemon started without its store puts by", within_s=WITHIN_S)
        log.rotate_away()
        for path in pieces(house):
            assert b"/jwxt" not in path.read_bytes()
        restart(cluster, OPTIONS)
        until(lambda: stored(house) == log.lines, "all is stored", within_s=WITHIN_S, every_s=1)
        until(lambda: not pieces(house), "the spool is empty", within_s=WITHIN_S)
    finally:
        again.send_signal(signal.SIGTERM)
        again.wait(60)
    assert house.numbers() == Counter(range(log.lines))
    account = house.account()
    assert is_balanced(account)
    assert (account["received"], account["in_flight"]) == (log.lines, 0)
    assert house.output("store", "check", "--deep")["ok"]
    assert house.alert_facts() == quiet_alerts(tmp_path, log.lines)


def sit_out(house: House, log: Log, running: Daemon) -> None:
    """Logs come and vanish while the cluster is dead; the first of them was begun before."""
    for _ in range(3):
        log.write(100)
        until(lambda: put_by(house) == log.lines, "the new lines are put by", within_s=WITHIN_S)
        log.rotate_away()
    status, ready = running.get("readyz")
    assert status == 503
    assert not ready["ready"]
    assert running.check("spool")["state"] == "warn"


def kill(cluster: Cluster) -> None:
    for pid in cluster.pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(is_alive, cluster.pids)), "the server is dead")


def quiet_alerts(folder: Path, lines: int) -> set[str]:
    """Return the alerts of one uninterrupted import of the same lines into the embedded store."""
    log = Log(folder / "all.log")
    log.write(lines)
    quiet = House(folder / "quiet", workers=0)
    quiet.output("import", "--source", SOURCE, str(log.path))
    return quiet.alert_facts()
