"""Run a command with a real Elasticsearch around it.

    python -m scripts.elasticsearch.around [--optional] [--nodes 1|3] -- COMMAND [ARGUMENT]...

With SECMON_ES_URL the command gets that cluster, and nothing is started. Otherwise one node is started on a free port
of the loopback for the life of the command, which finds it in SECMON_ES_URL; it is stopped by its pid however the
command ends, on SIGTERM and SIGINT too, and its data is removed. The data lies in memory where there is room, so that
nobody waits for a disk; SECMON_ES_RUN names another place. Without a JDK 17+ and Maven: with `--optional` that is said
and the command runs without a server, unless CI=true; otherwise it is a failure.
Ends with the command's status. Needs nothing beyond the standard library.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from scripts.elasticsearch.fetching import ServerError
from scripts.elasticsearch.server import Options, free_port, running_cluster

_STOP_SECONDS = 60
_MEMORY = Path("/dev/shm")  # noqa: S108  the system's folder in memory; ours below it has a name nobody can foresee
_ROOM_BYTES = 6 << 30


def main() -> int:
    """Run the command and return its status."""
    parser = argparse.ArgumentParser(description="Run a command with a real Elasticsearch around it.")
    parser.add_argument("--optional", action="store_true", help="run it without a server if none can be had")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="SECMON_ES_URL then names all, by commas")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    if os.environ.get("SECMON_ES_URL"):
        return _run(asked.command, os.environ["SECMON_ES_URL"])
    signal.signal(signal.SIGTERM, _end)
    try:
        with _in_memory(), running_cluster(Options(port=free_port(asked.nodes), nodes=asked.nodes)) as cluster:
            urls = ",".join(cluster.urls)
            _say(f"a server of its own runs at {urls} until the command ends")
            status = _run(asked.command, urls)
    except ServerError as error:
        if not asked.optional or os.environ.get("CI") == "true":
            _say(f"no server: {error}")
            return 1
        _say(f"no server, so what needs one does not run: {error}")
        return _run(asked.command, "")
    _say("that server is stopped; `make elasticsearch` starts one that stays, for SECMON_ES_URL")
    return status


@contextlib.contextmanager
def _in_memory() -> Iterator[None]:
    """Let servers that are started from here on, also by the command, keep their data in memory if there is room."""
    if os.environ.get("SECMON_ES_RUN") or not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _ROOM_BYTES:
        yield
        return
    folder = tempfile.mkdtemp(prefix="secmon-elasticsearch-", dir=_MEMORY)
    Path(folder).chmod(0o711)  # root's servers run as somebody else
    os.environ["SECMON_ES_RUN"] = folder
    try:
        yield
    finally:
        del os.environ["SECMON_ES_RUN"]
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: Sequence[str], url: str) -> int:
    process = subprocess.Popen(command, env={**os.environ, "SECMON_ES_URL": url})
    try:
        return process.wait()
    except KeyboardInterrupt:  # the terminal has told the command as well
        process.wait(_STOP_SECONDS)
        return 128 + signal.SIGINT
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)


def _say(text: str) -> None:
    sys.stderr.write(f"elasticsearch: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
