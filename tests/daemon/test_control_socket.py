"""The control socket: answers, refusals, bytes that stop before their end, and a clean close."""

import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.collect.standard_input import Readable
from secmon.daemon.control import Blocks, ControlServer, NoDaemonError, RemoteError, request
from secmon.errors import ConfigError, NotFoundError, StoreUnavailableError


def answers(name: str, args: dict[str, Any], by: str, data: Readable) -> Any:
    """Do what the tests ask for."""
    if name == "bytes":
        read = b""
        while piece := data.read(args["size"]):
            read += piece
        return {"bytes": len(read), "by": by}
    if name == "missing":
        raise NotFoundError("no such thing", where="here", hint="look elsewhere")
    raise RuntimeError("nobody foresaw this")


@contextmanager
def serving(state: Path, handler: Callable[..., Any] = answers) -> Iterator[ControlServer]:
    server = ControlServer(state, handler)
    try:
        yield server
    finally:
        server.close()


@settings(max_examples=15, deadline=None)
@given(data=st.binary(max_size=300_000), size=st.integers(1_000, 100_000))
def test_all_bytes_arrive_however_they_are_read(
    data: bytes, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = tmp_path_factory.mktemp("s")
    with serving(state):
        found = request(state, "bytes", {"size": size}, by="mori", data=io.BytesIO(data))
    assert found == {"bytes": len(data), "by": "mori"}


def test_a_refusal_comes_back_as_it_was_raised(tmp_path: Path) -> None:
    with serving(tmp_path), pytest.raises(RemoteError, match=r"^here: no such thing \(look elsewhere\)$") as caught:
        request(tmp_path, "missing", {}, by="mori")
    assert caught.value.exit_status == NotFoundError.exit_status


def test_what_nobody_foresaw_is_answered_too(tmp_path: Path) -> None:
    with serving(tmp_path), pytest.raises(RemoteError, match="the daemon failed to do it"):
        request(tmp_path, "surprise", {}, by="mori")


@pytest.mark.parametrize("line", [b"", b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"do":1,"args":2,"by":3}\n'])
def test_a_request_that_is_none_is_refused(line: bytes, tmp_path: Path) -> None:
    with serving(tmp_path), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(tmp_path / "secmon.sock"))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        answer = orjson.loads(connection.makefile("rb").readline())
    assert (answer["ok"], answer["exit"]) == (False, 2)


def test_nobody_listening_is_told_apart_from_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError):
        request(tmp_path, "bytes", {}, by="mori")


def test_the_socket_is_its_owners_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    with serving(tmp_path):
        assert (tmp_path / "secmon.sock").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "secmon.sock").exists()


def test_a_socket_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "secmon.sock"))
    left.close()
    with serving(tmp_path):
        assert request(tmp_path, "bytes", {"size": 1}, by="mori", data=io.BytesIO(b"x"))["bytes"] == 1


def test_a_path_too_long_for_a_socket_is_a_configuration_error(tmp_path: Path) -> None:
    state = tmp_path / ("x" * 120)
    state.mkdir()
    with pytest.raises(ConfigError, match="shorter path"):
        ControlServer(state, answers)


@given(data=st.binary(min_size=1, max_size=1_000), cut=st.integers(min_value=0))
def test_bytes_that_stop_before_their_end_are_an_error(data: bytes, cut: int) -> None:
    whole = len(data).to_bytes(4, "big") + data + bytes(4)
    blocks = Blocks(io.BytesIO(whole[: cut % len(whole)]))

    def read_all() -> None:
        while blocks.read(100):
            pass

    with pytest.raises(StoreUnavailableError, match="stopped before its end"):
        read_all()


def test_closing_waits_for_nobody_who_only_waits_for_bytes(tmp_path: Path) -> None:
    problems: list[str] = []

    def handler(_name: str, _args: dict[str, Any], _by: str, data: Readable) -> Any:
        try:
            data.read(10)
        except StoreUnavailableError as error:
            problems.append(error.problem)
            raise

    server = ControlServer(tmp_path, handler)
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as never, os.fdopen(writer, "wb"):
        asking = threading.Thread(target=_ask, args=(tmp_path, never), daemon=True)
        asking.start()
        deadline = time.monotonic() + 5
        while not server._server._busy and time.monotonic() < deadline:
            time.sleep(0.01)
        started = time.monotonic()
        server.close(patience_s=5)
    assert time.monotonic() - started < 4
    assert problems == ["standard input stopped before its end"]


def _ask(state: Path, data: Readable) -> None:
    with pytest.raises((RemoteError, StoreUnavailableError)):
        request(state, "bytes", {}, by="mori", data=data)
