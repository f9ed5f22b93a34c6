"""The control socket STATE/secmon.sock: commands that write ask the running daemon, the one writer.

One request a connection: a JSON line {"do": NAME, "args": {…}, "by": NAME}, then for an import from standard input
the bytes themselves up to the end of the sending side; one JSON line comes back: {"ok": true, "result": …} or
{"ok": false, "problem", "where", "hint", "values", "exit"}. The socket is readable by its owner only, and what the
owner could do with the files they may do here.
"""

import contextlib
import os
import socket
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import orjson

from secmon.errors import SecmonError, StoreUnavailableError


class Readable(Protocol):
    """Bytes that can be read: a file, standard input, the rest of a request."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


# (name, arguments, who, the bytes that follow) → result
Handler = Callable[[str, dict[str, Any], str, Readable], Any]

MAX_REQUEST_BYTES = 1 << 20
_SOCKET = "secmon.sock"


class NoDaemonError(StoreUnavailableError):
    """Nobody listens on the socket: no daemon runs on this state folder, or it was killed."""


class RemoteError(SecmonError):
    """What the daemon answered instead of a result; carries its exit status."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(answer["problem"], where=answer["where"], hint=answer["hint"], values=answer["values"])
        self.exit_status = int(answer["exit"])  # type: ignore[misc]  # the class's status is the daemon's here


def request(state: Path, name: str, args: dict[str, Any], *, by: str, data: Readable | None = None) -> Any:
    """Ask the daemon on this state folder to do something and return its result.

    Raises:
        NoDaemonError: no daemon listens there.
        StoreUnavailableError: it went away while it worked.
        RemoteError: it could not do it.
    """
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        try:
            connection.connect(str(state / _SOCKET))
        except OSError:
            raise NoDaemonError("the daemon does not answer", where=str(state / _SOCKET)) from None
        connection.sendall(orjson.dumps({"do": name, "args": args, "by": by}) + b"\n")
        if data is not None:
            while block := data.read(1 << 16):
                connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as reader:
            line = reader.readline()
    if not line:
        raise StoreUnavailableError("the daemon went away while it worked", hint="run the command again")
    answer: dict[str, Any] = orjson.loads(line)
    if not answer["ok"]:
        raise RemoteError(answer)
    return answer["result"]


class ControlServer:
    """Answers commands until it is closed.

    Args:
        state: the state folder.
        handler: does what is asked.
    """

    def __init__(self, state: Path, handler: Handler) -> None:
        self._path = state / _SOCKET
        self._path.unlink(missing_ok=True)  # left by a crash; the writer lock tells that nobody listens on it
        old = os.umask(0o177)
        try:
            self._server = _Server(str(self._path), _request_class(handler))
        finally:
            os.umask(old)
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering and remove the socket."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def _request_class(handler: Handler) -> type[socketserver.StreamRequestHandler]:
    class Request(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline(MAX_REQUEST_BYTES)
            self.wfile.write(orjson.dumps(_answered(handler, line, self.rfile)) + b"\n")

    return Request


def _answered(handler: Handler, line: bytes, rest: Readable) -> dict[str, Any]:
    try:
        asked = orjson.loads(line)
        result = handler(str(asked["do"]), dict(asked["args"]), str(asked["by"]), rest)
    except SecmonError as error:
        return _refusal(error.problem, error.where, error.hint, error.values, error.exit_status)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return _refusal("the daemon did not understand the request", "", "use the same version of secmon", {}, 2)
    return {"ok": True, "result": result}


def _refusal(problem: str, where: str, hint: str, values: dict[str, object], status: int) -> dict[str, Any]:
    shown = {name: str(value) for name, value in values.items()}
    return {"ok": False, "problem": problem, "where": where, "hint": hint, "values": shown, "exit": status}
