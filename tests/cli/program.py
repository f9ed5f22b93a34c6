"""Runs the program as its users do: in this process for speed, or as a process of its own where that matters."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from secmon.cli.root import main

SHELL_RULE = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a001"
RULES = f"""title: Shell request
id: {SHELL_RULE}
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{url.path|contains: probe-shell}}, condition: a}}
level: high
tags: [attack.persistence, attack.t1505.003]
custom: {{secmon: {{title_zh: 网页后门访问, group_by: [source.ip], reason: "{{source.ip}} 访问"}}}}
"""
BROKEN_RULE = "title: No detection\nid: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a0ff\nlogsource: {category: webserver}\n"
UNITS = """units:
  - {id: C-1, name: 示例市教育局, kind: city}
  - {id: S-1, name: 示例大学, kind: school, parent: C-1}
"""
ASSETS = "id,name,unit,level,domains\nA-1,教务系统,S-1,3,jwxt.example.edu.cn\n"
MALFORMED = "this is no access log line"


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    status: int
    out: bytes
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its standard output as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def row(self) -> dict[str, Any]:
        """Its standard output as one JSON object."""
        (row,) = self.rows
        return row

    @property
    def text(self) -> str:
        """Its standard output as text."""
        return self.out.decode()


def secmon(*arguments: str | Path, data: bytes = b"") -> Done:
    """Run the command in this process, from its arguments to its exit status."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    err = io.StringIO()
    status: object = None
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(data))),
    ):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = ended.code
    buffer = out.buffer
    assert isinstance(buffer, io.BytesIO)
    return Done(int(str(status)), buffer.getvalue(), err.getvalue())


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which nobody's own settings are found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SECMON_", "XDG_", "NO_COLOR"))}
    return kept | {"HOME": str(home)} | more


def process(*arguments: str | Path, home: Path, data: bytes = b"", **more: str) -> Done:
    """Run the command as a process of its own."""
    command = [sys.executable, "-m", "secmon", *map(str, arguments)]
    done = subprocess.run(
        command, input=data, capture_output=True, check=False, timeout=600, env=environment(home, **more)
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


def access_line(number: int, path: str, address: str = "192.0.2.9") -> str:
    """Return one line of an access log of 20 November 2026."""
    clock = f"{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}"
    return f'{address} - - [20/Nov/2026:{clock} +0800] "GET {path} HTTP/1.1" 200 512 "-" "Mozilla/5.0"\n'


def write_log(path: Path, *, malformed: bool = False) -> Path:
    """Write a small access log: quiet lines, two probes of a web shell from two addresses, a blank line."""
    lines = [access_line(number, f"/jwxt/page?n={number}") for number in range(8)]
    lines += [access_line(20, "/up/probe-shell.jsp"), access_line(21, "/up/probe-shell.jsp", "198.51.100.7"), "\n"]
    lines += [f"{MALFORMED}\n"] if malformed else []
    path.write_text("".join(lines), encoding="utf-8")
    return path


def write_settings(folder: Path, *extra: str) -> Path:
    """Write settings with own rules, registers and one source; return the file."""
    (folder / "rules").mkdir(parents=True)
    (folder / "rules" / "shell.yml").write_text(RULES, encoding="utf-8")
    (folder / "units.yaml").write_text(UNITS, encoding="utf-8")
    (folder / "assets.csv").write_text(ASSETS, encoding="utf-8")
    path = folder / "secmon.toml"
    lines = [
        "[secmon]",
        f'state = "{folder / "state"}"',
        "workers = 0",
        "[console]",
        'listen = "127.0.0.1:0"',
        "[content]",
        f'rules = ["{folder / "rules"}"]',
        'watch = "0s"',
        "[registers]",
        f'units = "{folder / "units.yaml"}"',
        f'assets = "{folder / "assets.csv"}"',
        "[[sources]]",
        'name = "jwxt"',
        'kind = "nginx.access"',
        'asset = "A-1"',
        *extra,
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def with_lists(config: Path, **lists: str) -> Path:
    """Give the settings a folder of shared lists; return the file."""
    folder = config.parent / "lists"
    folder.mkdir()
    for name, text in lists.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    text = config.read_text(encoding="utf-8").replace("[content]", f'[content]\nlists = ["{folder}"]', 1)
    config.write_text(text, encoding="utf-8")
    return config


@contextmanager
def running(config: Path, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `secmon up` until the block ends; it has said that it is ready."""
    command = [sys.executable, "-m", "secmon", "--config", str(config), "up"]
    with (home / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment(home))
        assert daemon.stdout is not None
        try:
            line = daemon.stdout.readline()
            assert line, (home / "daemon.log").read_text(encoding="utf-8")
            assert json.loads(line)["ready"] is True
            yield daemon
        finally:
            daemon.terminate()
            daemon.wait(timeout=60)
            daemon.stdout.close()
