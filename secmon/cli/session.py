"""How a command reaches the store: through the running daemon, or by itself under the writer lock."""

import getpass
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from secmon.config import Settings, load_settings
from secmon.model.access import ROOT, Access, Principal, Role


@dataclass(frozen=True, slots=True)
class Session:
    """The settings of this run, and the way to the store.

    Args:
        settings: checked settings.
        quiet: print nothing but data and errors.
        color: colours on a terminal.
    """

    settings: Settings
    quiet: bool = False
    color: bool = True

    def call(self, name: str, /, **args: Any) -> Any:
        """Do one operation of `app.operations` and return its result.

        Raises:
            StoreUnavailableError: another process holds the writer lock and does not answer.
        """
        from secmon.app.operations import OPERATIONS  # noqa: PLC0415  lazily: commands start fast
        from secmon.daemon.control import NoDaemonError, request  # noqa: PLC0415
        from secmon.wiring import opened  # noqa: PLC0415

        operation = OPERATIONS[name]
        if operation.writes:
            with suppress(NoDaemonError):
                return request(self.settings.state, name, args, by=_user())
        with opened(self.settings, writable=operation.writes, content=operation.content) as house:
            return operation.run(house, local_access(), args)


def local_access() -> Access:
    """Return the access of whoever runs the command: who can read the state folder can do everything in it."""
    return Access(Principal(f"os:{_user()}", frozenset(Role)), ROOT)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def session(ctx: click.Context) -> Session:
    """Return the session of a command's context."""
    shared: dict[str, Any] = ctx.find_root().obj or {}
    flags = {"secmon.state": _text(shared.get("state")), "secmon.lang": shared.get("lang")}
    settings = load_settings(shared.get("config"), flags=flags)
    return Session(settings, quiet=bool(shared.get("quiet")), color=not shared.get("no_color"))


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None
