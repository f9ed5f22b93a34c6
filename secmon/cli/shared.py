"""Options that may stand before or after the command: `--config --state --lang --no-color -q -v`.

They are real options of every command, hidden in its help, so that click tells them from values: `--note -q` is a
note, `-qv` are two of them. A command with an own option of the same name keeps its own.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from secmon.errors import SecmonError

LANGUAGES = ("zh-CN", "en")


class Context(click.Context):
    """The context of every command: its help is told in the language of the run."""

    def make_formatter(self) -> click.HelpFormatter:
        """Return what lays out help; Chinese help also translates it."""
        from secmon.cli.help import formatter  # noqa: PLC0415  lazily: only help needs its words

        return formatter(self, language(shared(self)))


def shared(ctx: click.Context) -> dict[str, Any]:
    """Return what was given of the shared options, by name; the same object for the whole run."""
    found: dict[str, Any] = ctx.find_root().ensure_object(dict)
    return found


def language(given: Mapping[str, Any]) -> str | None:
    """Return the language of a run that ends before its settings are read: help, and wrong usage.

    Args:
        given: the shared options as far as they are known, and all `arguments` of the run: behind `--help` or a
            mistake stands what has not been read.
    """
    if (known := given.get("lang")) is not None:
        return str(known)
    arguments = given.get("arguments", ())
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--lang":
            return value if equals else next(iter(arguments[place + 1 :]), None)
    from secmon.config import load_settings  # noqa: PLC0415  lazily: --version must stay fast

    with suppress(SecmonError, OSError):  # settings that are wrong are no reason to refuse help
        return str(load_settings(given.get("config"), flags={})["secmon.lang"])
    return None


def color(ctx: click.Context) -> bool:
    """Tell whether colours may be printed on a terminal: neither --no-color nor NO_COLOR (https://no-color.org)."""
    return not (shared(ctx).get("no_color") or os.environ.get("NO_COLOR"))


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value is not None and param.name is not None:
        shared(ctx)[param.name] = value


def shared_options(*, hidden: bool = False) -> list[click.Option]:
    """Return the shared options, new for each command."""

    def option(*names: str, **settings: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_remember, hidden=hidden, default=None, **settings)

    return [
        option("--config", type=click.Path(path_type=Path), help="Settings file or its folder."),
        option("--state", type=click.Path(path_type=Path), metavar="DIR", help="State folder."),
        option("--lang", type=click.Choice(LANGUAGES), help="Language of what people read."),
        option("--no-color", is_flag=True, help="No colours (also NO_COLOR)."),
        option("-q", "--quiet", is_flag=True, help="Nothing but data and errors."),
        option("-v", "--verbose", is_flag=True, help="More about what is going on."),
    ]


def adopt(command: click.Command) -> click.Command:
    """Give a command and everything below it the shared options and context; asking twice changes nothing."""
    command.context_class = Context
    taken = {name for param in command.params for name in param.opts}
    command.params += [one for one in shared_options(hidden=True) if not taken.intersection(one.opts)]
    if isinstance(command, click.Group):
        for one in command.commands.values():
            adopt(one)
    return command


def state_or_folder(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Read the `--state` of a listing that has states itself: a value with a slash is the state folder (DIR).

    Both meanings stand in the contract: `alerts list --state new`, and `--state DIR` after any command.
    """
    choices: Any = param.metavar
    known = str(choices).split("|")[:-1]
    for one in value:
        if "/" in one:
            shared(ctx)["state"] = Path(one)
        elif one not in known:
            raise click.BadParameter(f"{one!r} is not one of {', '.join(known)}, nor a folder (DIR/)", ctx, param)
    return tuple(one for one in value if "/" not in one)
