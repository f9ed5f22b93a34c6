"""A server on the loopback that answers as its script says: for what a real cluster does only under duress."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from secmon.store.elasticsearch.gateway import ElasticsearchSettings

PRODUCT = {"X-Elastic-Product": "Elasticsearch"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered: a status, a JSON body (or bytes as they are) and headers."""

    status: int
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: dict(PRODUCT))


# Takes method, path and body of a request; None breaks the connection off without an answer.
Script = Callable[[str, str, bytes], Reply | None]


@dataclass(frozen=True, slots=True)
class Scripted:
    """A running server: where it listens, and what it was asked."""

    url: str
    asked: list[tuple[str, str, bytes]]

    @property
    def settings(self) -> ElasticsearchSettings:
        """How to reach it."""
        return ElasticsearchSettings(urls=(self.url,), prefix="t", timeout_s=2)


@contextmanager
def scripted(script: Script) -> Iterator[Scripted]:
    """Run a server for the time of a block."""
    asked: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append((self.command, self.path, body))
            reply = script(self.command, self.path, body)
            if reply is None:
                self.close_connection = True
                return
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815  names of the base class

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Scripted(f"http://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
