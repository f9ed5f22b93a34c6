"""A way to the cluster that sometimes loses an answer: the request is done, and the connection breaks."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# Takes method and path of a request that was done, and tells whether its answer gets lost.
Loses = Callable[[str, str], bool]


@contextmanager
def lossy_way(url: str, loses: Loses) -> Iterator[str]:
    """Forward requests to a server for the time of a block; yield where."""
    target = urlsplit(url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            behind = http.client.HTTPConnection(target, timeout=30)
            try:
                behind.request(self.command, self.path, body or None, dict(self.headers))
                answer = behind.getresponse()
                data = answer.read()
            finally:
                behind.close()
            if loses(self.command, self.path):
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name in ("Content-Type", "X-Elastic-Product"):
                if value := answer.headers[name]:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815  names of the base class

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
