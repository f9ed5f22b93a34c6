"""How a command reaches the store: through the running daemon, or by itself under the writer lock."""

import getpass
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import click

from secmon.cli.output import message, safe, words, write_table
from secmon.cli.shared import color, shared
from secmon.config import Settings, load_settings
from secmon.model.access import ROOT, Access, Principal, Role
from secmon.model.event import parse_time


@dataclass(frozen=True, slots=True)
class Session:
    """The settings of this run, and the way to the store.

    Args:
        settings: checked settings.
        quiet: print nothing but data and errors.
        color: colours on a terminal.
        words: translation of what people read.
    """

    settings: Settings
    quiet: bool = False
    color: bool = True
    words: Callable[[str], str] = str

    def table(self, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table; `head` is in English."""
        write_table([self.words(name) for name in head], rows, color=self.color)

    def note(self, text: str) -> None:
        """Say something that is no data and no error, on standard error; `text` is in English."""
        if not self.quiet:
            click.echo(safe(self.words(text)), err=True)

    def title(self, row: Mapping[str, Any]) -> str:
        """Return what a rule's row calls it, in the reader's language as far as it has a title there."""
        chinese = "" if self.settings["secmon.lang"] == "en" else row.get("rule.title_zh")
        return str(chinese or row["rule.name"])

    def message(self, text: str) -> str:
        """Return a message that was kept with its values filled in, in the reader's language."""
        return message(click.get_current_context(), text)

    def time(self, text: str | None) -> str:
        """Return an RFC 3339 time for people: to the second, in the installation's zone."""
        if not text:
            return "—"
        return parse_time(text).astimezone(self.settings["secmon.zone"]).strftime("%Y-%m-%d %H:%M:%S")

    def call(self, name: str, /, **args: Any) -> Any:
        """Do one operation of `app.operations` and return its result.

        Raises:
            StoreUnavailableError: another process holds the writer lock and does not answer.
            ConfigError: nothing is stored here yet.
        """
        from secmon.app.operations import OPERATIONS  # noqa: PLC0415  lazily: commands start fast
        from secmon.daemon.control import NoDaemonError, request  # noqa: PLC0415

        operation = OPERATIONS[name]
        if operation.writes:
            with suppress(NoDaemonError):
                return request(self.settings.state, name, args, by=user_name())
        from secmon.wiring import opened  # noqa: PLC0415  lazily: not at all where the daemon does the work

        # A mistyped folder is not made an installation: only what brings records begins one.
        with opened(self.settings, writable=operation.writes, content=operation.content, begin=False) as house:
            return operation.run(house, local_access(), args)


def local_access() -> Access:
    """Return the access of whoever runs the command: who can read the state folder can do everything in it."""
    return Access(Principal(f"os:{user_name()}", frozenset(Role)), ROOT)


def user_name() -> str:
    """Return the name of whoever runs the command, as the system knows it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def session(ctx: click.Context) -> Session:
    """Return the session of a command's context.

    Raises:
        ConfigError: the settings are wrong.
    """
    given = shared(ctx)
    settings = load_settings(given.get("config"), flags=flags(ctx))
    given["lang"] = settings["secmon.lang"]  # what people read from here on, errors included
    return Session(settings, quiet=bool(given.get("quiet")), color=color(ctx), words=words(ctx))


def flags(ctx: click.Context) -> dict[str, object]:
    """Return the settings that stand on the command line, by dotted key."""
    given = shared(ctx)
    state = given.get("state")
    return {"secmon.state": None if state is None else str(state), "secmon.lang": given.get("lang")}
