"""The console's HTTP server: uvicorn in a thread of the daemon's process."""

import os
import threading
import time
from collections.abc import Sequence

import uvicorn

from secmon.daemon.service import Daemon
from secmon.errors import StoreUnavailableError
from secmon.web.console import create_console

START_TIMEOUT_S = 15.0


class ConsoleServer:
    """Serves the console until it is stopped.

    Args:
        daemon: what it shows and acts on.
        host: address to listen on.
        port: port; 0 takes a free one.
        hosts: further names by which browsers reach it.
    """

    def __init__(self, daemon: Daemon, host: str, port: int, *, hosts: Sequence[str] = ()) -> None:
        self._host, self._port = host, port
        config = uvicorn.Config(
            create_console(daemon, host=host, hosts=hosts),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=3,
            limit_concurrency=200,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="console", daemon=True)

    @property
    def pid(self) -> int:
        """Process id of the daemon."""
        return os.getpid()

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/"

    def start(self) -> None:
        """Start serving and wait until connections are taken.

        Raises:
            StoreUnavailableError: the address cannot be had.
        """
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise StoreUnavailableError(
                    "the console cannot listen there",
                    where=f"{self._host}:{self._port}",
                    hint="another program has the port: change [console] listen",
                )
            time.sleep(0.02)
        self._port = int(self._server.servers[0].sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Stop serving; requests under way get three seconds."""
        self._server.should_exit = True
        self._thread.join(timeout=10)
