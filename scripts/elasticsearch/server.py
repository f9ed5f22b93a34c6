"""A real Elasticsearch for development, tests and CI: fetched (`fetching`), run on the loopback, stopped by pid.

    python -m scripts.elasticsearch.server fetch
    python -m scripts.elasticsearch.server start [--nodes 1|3] [--port 9200] [--security] [--setting KEY=VALUE]...
    python -m scripts.elasticsearch.server stop [--port 9200]

In the folder of the repository; a JDK 17+ and Maven are all it needs.
Elasticsearch refuses to run as root, so root starts it as uid 65534 (nobody); anybody else as themselves.
SECMON_ES_RUN=DIR puts the nodes' data elsewhere than below build/, for example into memory (/dev/shm/secmon).
Needs nothing beyond the standard library.
"""

import argparse
import base64
import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripts.elasticsearch.fetching import BUILD, ServerError, check_reachable, fetch, java_home

NOBODY = 65_534
START_SECONDS = 180
STOP_SECONDS = 30
_TRANSPORT = 100
"""Ports on which nodes speak to each other lie this far above those of HTTP."""
_FREE_PORTS = range(19_200, 19_900)
"""Where free ones are looked for: below those that the system hands out by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run a cluster.

    Args:
        nodes: how many nodes.
        port: HTTP port of the first; the others follow, transport ports lie 100 above.
        security: whether users must log in; the password of `elastic` is made anew.
        heap: Java heap of each node.
        settings: further lines of elasticsearch.yml.
        files: name → content of further files of each node's configuration folder, such as certificates or roles.yml.
        users: name → role of users of the file realm; all have the password of `elastic`.
        ca: CA file that the waiting trusts, where HTTP runs over TLS.
    """

    nodes: int = 1
    port: int = 9200
    security: bool = False
    heap: str = "512m"
    settings: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running cluster.

    Args:
        urls: where each node listens.
        pids: process of each node, in the same order.
        password: of the user `elastic`; empty without security.
    """

    urls: tuple[str, ...]
    pids: tuple[int, ...]
    password: str = ""

    @property
    def url(self) -> str:
        """Where the first node listens."""
        return self.urls[0]


def start(options: Options) -> Cluster:
    """Start a cluster and wait until all its nodes have found each other.

    Raises:
        ServerError: it did not come up; nothing of it is left running.
    """
    home, java = fetch(), java_home()
    if _pids(options.port):
        raise ServerError(f"a server of this script runs on port {options.port} already (stop it first)")
    check_reachable(home)
    password = secrets.token_urlsafe(18) if options.security else ""
    folder = _run_folder(options.port)
    shutil.rmtree(folder, ignore_errors=True)
    launched: list[subprocess.Popen[bytes]] = []
    try:
        launched.extend(_launch(home, java, options, number, password) for number in range(options.nodes))
        deadline = time.monotonic() + START_SECONDS
        for number, process in enumerate(launched):
            _wait_for_launch(process, folder / f"node{number}", deadline)
        urls = tuple(_url(options, number) for number in range(options.nodes))
        _wait(urls, options, password, deadline)
    except BaseException as error:
        for process in launched:
            process.kill()
            process.communicate()
        stop(options.port)
        if isinstance(error, subprocess.TimeoutExpired):
            raise ServerError(f"the server did not start within {START_SECONDS} s") from error
        raise
    return Cluster(urls=urls, pids=tuple(_pids(options.port)), password=password)


def restart(cluster: Cluster, options: Options) -> Cluster:
    """Start the nodes of a cluster that was stopped or killed again, with their data, and wait for them.

    Raises:
        ServerError: one runs still, or they did not come up.
    """
    home, java = fetch(), java_home()
    if _pids(options.port):
        raise ServerError(f"a server of this script runs on port {options.port} already (stop it first)")
    return _launched_again(home, java, cluster, options, range(options.nodes))


def restart_node(cluster: Cluster, options: Options, number: int) -> Cluster:
    """Start one node that was stopped or killed again, with its data, and wait until the cluster has it back.

    Raises:
        ServerError: it runs still, or did not come up.
    """
    if _is_server(cluster.pids[number]):
        raise ServerError(f"node {number} runs still (stop it first)")
    return _launched_again(fetch(), java_home(), cluster, options, (number,))


def _launched_again(home: Path, java: Path, cluster: Cluster, options: Options, numbers: Sequence[int]) -> Cluster:
    deadline = time.monotonic() + START_SECONDS
    for number in numbers:
        folder = _run_folder(options.port) / f"node{number}"
        (folder / "pid").unlink(missing_ok=True)
        started = _run(
            [home / "bin" / "elasticsearch", "-d", "-p", folder / "pid"], _environment(java, options, folder), folder
        )
        _wait_for_launch(started, folder, deadline)
    _wait(cluster.urls, options, cluster.password, deadline)
    return replace(cluster, pids=tuple(_pids(options.port)))


def stop(port: int = 9200) -> int:
    """Stop the nodes that `start` left on this port, by their pid files; return how many there were."""
    pids = _pids(port)
    for pid in pids:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while any(map(_is_server, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in filter(_is_server, pids):
        _signal(pid, signal.SIGKILL)
    for file in _run_folder(port).glob("node*/pid"):
        file.unlink(missing_ok=True)
    return len(pids)


@contextlib.contextmanager
def running_cluster(options: Options | None = None) -> Iterator[Cluster]:
    """Run a cluster for the time of a block; it is stopped and its data removed however the block ends."""
    options = options or Options()
    try:
        yield start(options)
    finally:
        discard(options.port)


def discard(port: int) -> None:
    """Stop the nodes of a port and remove their data."""
    stop(port)
    shutil.rmtree(_run_folder(port), ignore_errors=True)


def free_port(nodes: int = 1) -> int:
    """Return the first of as many ports that are free now, those above them for the nodes' own talk as well.

    Raises:
        ServerError: there are none.
    """
    first = os.getpid() % len(_FREE_PORTS)  # two runs that start at once do not look at the same
    for port in itertools.chain(_FREE_PORTS[first:], _FREE_PORTS[:first]):
        with contextlib.ExitStack() as held:
            try:
                for wanted in (port + above + node for above in (0, _TRANSPORT) for node in range(nodes)):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return port
    raise ServerError("no free ports on the loopback")


def _run_folder(port: int) -> Path:
    return Path(os.environ.get("SECMON_ES_RUN") or BUILD / "run") / str(port)


def _url(options: Options, number: int) -> str:
    return f"{'https' if options.ca else 'http'}://127.0.0.1:{options.port + number}"


def _launch(home: Path, java: Path, options: Options, number: int, password: str) -> subprocess.Popen[bytes]:
    """Start one node in the background; the process returned ends when the node is up, or has failed."""
    folder = _run_folder(options.port) / f"node{number}"
    config = folder / "config"
    shutil.copytree(home / "config", config)
    for name in ("data", "logs", "tmp", "repo"):
        (folder / name).mkdir()
    for name, content in options.files.items():
        (config / name).write_bytes(content)
    (config / "elasticsearch.yml").write_text(_settings(options, number, folder))
    environment = _environment(java, options, folder)
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    for command, told in _preparations(home, options, password):
        process = _run(command, environment, folder)
        process.communicate(told.encode())
        if process.returncode:
            raise ServerError(f"security cannot be set up: {_last_lines(folder)}")
    _add_users(config, options.users if password else {})
    return _run([home / "bin" / "elasticsearch", "-d", "-p", folder / "pid"], environment, folder)


def _preparations(home: Path, options: Options, password: str) -> list[tuple[list[Path | str], str]]:
    """Return the commands that set up security before a node starts, each with what it reads."""
    if not password:
        return []
    keystore = home / "bin" / "elasticsearch-keystore"
    commands: list[tuple[list[Path | str], str]] = [
        ([keystore, "create"], ""),
        ([keystore, "add", "-x", "bootstrap.password"], password),
    ]
    for name, role in list(options.users.items())[:1]:
        commands.append(([home / "bin" / "elasticsearch-users", "useradd", name, "-r", role, "-p", password], ""))
    return commands


def _add_users(config: Path, users: Mapping[str, str]) -> None:
    """Give all users the password hash of the first: each run of the server's own program takes seconds."""
    first, *others = users or [""]
    if others:
        digest = (config / "users").read_text().strip().removeprefix(f"{first}:")
        (config / "users").write_text("".join(f"{name}:{digest}\n" for name in users))
        (config / "users_roles").write_text("".join(f"{role}:{name}\n" for name, role in users.items()))


def _environment(java: Path, options: Options, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "ES_JAVA_HOME": str(java),
        "ES_PATH_CONF": str(folder / "config"),
        "ES_TMPDIR": str(folder / "tmp"),
        "ES_JAVA_OPTS": f"-Xms{options.heap} -Xmx{options.heap}",
    }


def _run(command: Sequence[Path | str], environment: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """Run a program of the server, as another user if we are root; its lines go to the node's start.log."""
    nobody = NOBODY if os.geteuid() == 0 else None
    with (folder / "start.log").open("ab") as log:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            user=nobody,
            group=nobody,
            extra_groups=None if nobody is None else [],
            start_new_session=True,  # an interrupt of the terminal or of a test run is not meant for the server
        )


def _settings(options: Options, number: int, folder: Path) -> str:
    transport = [options.port + _TRANSPORT + each for each in range(options.nodes)]
    lines = {
        "cluster.name": f"secmon-{options.port}",
        "node.name": f"node{number}",
        "path.data": folder / "data",
        "path.logs": folder / "logs",
        "path.repo": folder.parent / "repo" if options.nodes > 1 else folder / "repo",
        "network.host": "127.0.0.1",
        "http.port": options.port + number,
        "transport.port": transport[number],
        "xpack.security.enabled": str(options.security).lower(),
        "xpack.security.autoconfiguration.enabled": "false",
        "cluster.routing.allocation.disk.threshold_enabled": "false",
    }
    if options.nodes == 1:
        lines["discovery.type"] = "single-node"
    else:
        lines["discovery.seed_hosts"] = json.dumps([f"127.0.0.1:{each}" for each in transport])
        lines["cluster.initial_master_nodes"] = json.dumps([f"node{each}" for each in range(options.nodes)])
    return "".join(f"{name}: {value}\n" for name, value in {**lines, **options.settings}.items())


def _wait_for_launch(process: subprocess.Popen[bytes], folder: Path, deadline: float) -> None:
    """The launcher ends when its node is up, or has failed."""
    process.communicate(timeout=max(deadline - time.monotonic(), 1))
    if process.returncode:
        raise ServerError(f"{folder.name} did not start: {_last_lines(folder)}")


def _wait(urls: Sequence[str], options: Options, password: str, deadline: float) -> None:
    """Wait until the cluster answers and has all its nodes. `GET /` is not published with this server."""
    context = ssl.create_default_context(cafile=str(options.ca)) if options.ca else None
    request = urllib.request.Request(f"{urls[0]}/_cluster/health?wait_for_nodes={len(urls)}&timeout=5s")  # noqa: S310  our own loopback address
    if password:
        token = base64.b64encode(f"elastic:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    problem = "it never answered"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:  # noqa: S310  as above
                if not json.load(answer)["timed_out"]:
                    return
                problem = "not all nodes found each other"
        except (OSError, ValueError, KeyError) as error:
            problem = f"{type(error).__name__}: {error}"
        time.sleep(0.5)
    raise ServerError(f"the server did not become ready: {problem}")


def _pids(port: int) -> list[int]:
    """Return the processes that the pid files of a port name and that are truly nodes of Elasticsearch."""
    found = []
    for file in sorted(_run_folder(port).glob("node*/pid")):
        with contextlib.suppress(OSError, ValueError):
            pid = int(file.read_text())
            if _is_server(pid):
                found.append(pid)
    return found


def _is_server(pid: int) -> bool:
    """Tell whether a process is a node of ours: a pid may have been given to somebody else since."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return b"elasticsearch" in command and state != "Z"


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _last_lines(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return " / ".join((folder / "start.log").read_text(errors="replace").splitlines()[-8:])
    return "it left no log"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("write KEY=VALUE")
    return name, value


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description="A real Elasticsearch for development and tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="bring and unpack the server")
    starting = commands.add_parser("start", help="start it and print where it listens")
    starting.add_argument("--nodes", type=int, choices=(1, 3), default=1)
    starting.add_argument("--security", action="store_true")
    starting.add_argument("--heap", default="512m")
    starting.add_argument("--setting", type=_pair, action="append", default=[], metavar="KEY=VALUE")
    stopping = commands.add_parser("stop", help="stop it by its pid files")
    for each in (starting, stopping):
        each.add_argument("--port", type=int, default=9200)
    asked = parser.parse_args()
    try:
        if asked.command == "fetch":
            told: object = {"home": str(fetch())}
        elif asked.command == "stop":
            told = {"stopped": stop(asked.port)}
        else:
            cluster = start(
                Options(
                    nodes=asked.nodes,
                    port=asked.port,
                    security=asked.security,
                    heap=asked.heap,
                    settings=dict(asked.setting),
                )
            )
            told = {"urls": cluster.urls, "pids": cluster.pids, "password": cluster.password}
    except ServerError as error:
        sys.stderr.write(f"elasticsearch: {error}\n")
        return 1
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
