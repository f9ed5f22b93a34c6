"""The daemon's own log: JSON lines with ECS names on standard error, so that secmon can read its own log.

No content of records is ever logged; see `errors.SecmonError`.
"""

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog


class _Unfailing:
    """A text file that nobody dies of: a full disk or a reader that went away costs log lines, nothing else."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._file.flush()


def log_to_stderr(*, quiet: bool = False) -> None:
    """Send structured log lines to standard error.

    Args:
        quiet: only warnings and worse.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="@timestamp"),
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            _ecs,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(30 if quiet else 20),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
    )
    adapters = logging.getLogger("secmon")  # they know no structlog
    adapters.setLevel(logging.INFO)
    adapters.propagate = False
    adapters.handlers = [_Forwarding()]


class _Forwarding(logging.Handler):
    """Hands lines of Python's own logging on."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(record.levelno, record.getMessage())


def _ecs(_logger: object, _method: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    known = {"level": "log.level", "exception": "error.stack_trace"}
    named = {
        known.get(name, name if name in {"@timestamp", "message"} else f"secmon.{name}"): value
        for name, value in fields.items()
    }
    return {"ecs.version": "9.5.0", "event.dataset": "secmon.daemon", **named}
