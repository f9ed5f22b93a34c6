"""The control socket STATE/secmon.sock: commands that write ask the running daemon, the one writer.

One request a connection: a JSON line {"do": NAME, "args": {…}, "by": NAME}, then for an import from standard input
its bytes in blocks, each after its length (4 bytes, big endian), an empty block at the end: bytes that stop without
one come from a command that was killed, and half a record is none. One JSON line comes back: {"ok": true, "result": …}
or {"ok": false, "problem", "where", "hint", "values", "exit"}. The socket is readable by its owner only, and what the
owner could do with the files they may do here.
"""

import contextlib
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import orjson
import structlog

from secmon.collect.standard_input import Readable
from secmon.errors import ConfigError, SecmonError, StoreUnavailableError

# (name, arguments, who, the bytes that follow) → result
Handler = Callable[[str, dict[str, Any], str, Readable], Any]

HEALTH = "health"
"""What `doctor` asks: the checks that only the running daemon can make."""
MAX_REQUEST_BYTES = 1 << 20
BLOCK_BYTES = 1 << 16
POLL_S = 0.2
PATIENCE_S = 10.0
"""How long `close` waits for what is being done."""
_SOCKET = "secmon.sock"
_LENGTH = struct.Struct(">I")

log = structlog.get_logger()


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
    line = b""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        try:
            connection.connect(str(state / _SOCKET))
        except OSError:
            raise NoDaemonError("the daemon does not answer", where=str(state / _SOCKET)) from None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it refused at once: its answer says why
            connection.sendall(orjson.dumps({"do": name, "args": args, "by": by}) + b"\n")
            if data is not None:
                _send(connection, data)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError), connection.makefile("rb") as reader:
            line = reader.readline()
    if not line.endswith(b"\n"):
        raise StoreUnavailableError("the daemon went away while it worked", hint="run the command again")
    answer: dict[str, Any] = orjson.loads(line)
    if not answer["ok"]:
        raise RemoteError(answer)
    return answer["result"]


def _send(connection: socket.socket, data: Readable) -> None:
    # `read1` hands over what has come so far; `read` would keep a trickle until a block is full.
    read = getattr(data, "read1", data.read)
    while block := read(BLOCK_BYTES):
        connection.sendall(_LENGTH.pack(len(block)) + block)
    connection.sendall(_LENGTH.pack(0))


class Blocks:
    """The bytes that follow a request.

    Args:
        rest: what the connection still brings.
    """

    def __init__(self, rest: Readable) -> None:
        self._rest, self._left, self._ended = rest, 0, False

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, none at the end.

        Raises:
            StoreUnavailableError: the command went away, or the daemon stops, before the end was sent.
        """
        if not self._left and not self._ended:
            self._left = _LENGTH.unpack(self._exactly(_LENGTH.size))[0]
            self._ended = not self._left
        if self._ended:
            return b""
        wanted = self._left if size < 0 else min(size, self._left)
        block = self._exactly(wanted)
        self._left -= wanted
        return block

    def _exactly(self, size: int) -> bytes:
        block = self._rest.read(size)
        if len(block) < size:
            raise StoreUnavailableError("standard input stopped before its end", hint="import it again")
        return block


class ControlServer:
    """Answers commands until it is closed.

    Args:
        state: the state folder.
        handler: does what is asked.
    """

    def __init__(self, state: Path, handler: Handler) -> None:
        self._path = state / _SOCKET
        old = os.umask(0o177)
        try:
            self._path.unlink(missing_ok=True)  # left by a crash; the writer lock tells that nobody listens on it
            self._server = _Server(str(self._path), _request_class(handler))
        except OSError as error:
            # A path of more than 107 bytes is no address of a socket.
            raise ConfigError(
                "the socket for commands cannot be made: {reason}",
                where=str(self._path),
                hint="check owner and mode of the state folder; give one with a shorter path",
                values={"reason": os.strerror(error.errno) if error.errno else str(error)},
            ) from error
        finally:
            os.umask(old)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,), name="control", daemon=True)
        self._thread.start()

    def close(self, *, patience_s: float = PATIENCE_S) -> None:
        """Stop answering, let what is being done end or give up waiting for more input, and remove the socket."""
        self._server.shutdown()
        self._server.cut_off()
        self._server.server_close()
        self._server.wait(patience_s)
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, request_class: type[socketserver.StreamRequestHandler]) -> None:
        self._busy: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(path, request_class)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._busy.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._busy.discard(request)
                self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address
        log.info("control.client_left")

    def cut_off(self) -> None:
        """Let nobody wait for bytes that may never come."""
        with self._changed:
            for request in self._busy:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RD)

    def wait(self, patience_s: float) -> bool:
        """Wait until nothing is being done any more; tell whether that came to pass."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, patience_s)


def _request_class(handler: Handler) -> type[socketserver.StreamRequestHandler]:
    class Request(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline(MAX_REQUEST_BYTES)
            self.wfile.write(orjson.dumps(_answered(handler, line, Blocks(self.rfile))) + b"\n")

    return Request


def _answered(handler: Handler, line: bytes, rest: Readable) -> dict[str, Any]:
    try:
        asked = orjson.loads(line)
        name, args, by = str(asked["do"]), dict(asked["args"]), str(asked["by"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return _refusal("the daemon did not understand the request", "", "use the same version of secmon", {}, 2)
    try:
        result = handler(name, args, by, rest)
    except SecmonError as error:
        return _refusal(error.problem, error.where, error.hint, error.values, error.exit_status)
    except BrokenProcessPool:
        return _refusal("a worker process died over it", "", "run the command again; watch memory", {}, 1)
    except Exception:
        log.exception("control.failed", operation=name)
        return _refusal("the daemon failed to do it", "", "its log says why; please report this", {}, 1)
    return {"ok": True, "result": result}


def _refusal(problem: str, where: str, hint: str, values: dict[str, object], status: int) -> dict[str, Any]:
    shown = {name: str(value) for name, value in values.items()}
    return {"ok": False, "problem": problem, "where": where, "hint": hint, "values": shown, "exit": status}
