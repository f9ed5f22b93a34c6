"""The command `secmon`: options that every command shares, lazy loading, errors to exit statuses."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from secmon.cli.output import safe
from secmon.cli.shared import Context, adopt, language, shared_options
from secmon.errors import SecmonError

VERSION = "0.1.0"  # as in pyproject.toml; asking the installed package for it takes 40 ms

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130

# name → "module:function"; a module is imported only when its command runs (`secmon --version` < 150 ms).
COMMANDS = {
    "parse": "secmon.cli.parse:parse",
    "detect": "secmon.cli.detect:detect",
    "scan": "secmon.cli.scan:scan",
    "rules": "secmon.cli.rules:rules",
    "tuning": "secmon.cli.tuning:tuning",
    "intel": "secmon.cli.intel:intel",
    "import": "secmon.cli.import_:import_",
    "sources": "secmon.cli.sources:sources",
    "deadletters": "secmon.cli.deadletters:deadletters",
    "alerts": "secmon.cli.alerts:alerts",
    "search": "secmon.cli.search:search",
    "coverage": "secmon.cli.coverage:coverage",
    "report": "secmon.cli.report:report",
    "bulletin": "secmon.cli.bulletin:bulletin",
    "config": "secmon.cli.config:config",
    "store": "secmon.cli.store:store",
    "doctor": "secmon.cli.doctor:doctor",
    "up": "secmon.cli.up:up",
    "demo": "secmon.cli.demo:demo",
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when it is asked for."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        del ctx
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return adopt(command)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader that went away (`| head`) is not our failure."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Nothing more can be written there; Python would complain of what it still holds when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return result


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="secmon")
def cli() -> None:
    """Monitor of network security and data compliance for education authorities, schools and universities."""


cli.params += shared_options()


def main(arguments: list[str] | None = None) -> None:
    """Run the command and turn errors into exit statuses; the only place that does."""
    shared: dict[str, Any] = {"arguments": tuple(sys.argv[1:] if arguments is None else arguments)}
    try:
        status = cli.main(arguments, prog_name="secmon", standalone_mode=False, obj=shared)
    except (click.exceptions.Abort, KeyboardInterrupt):
        status = EXIT_INTERRUPTED
    except click.ClickException as error:
        from secmon.cli.usage import complain_of_usage  # noqa: PLC0415  lazily: --version must stay fast

        complain_of_usage(error, language(shared))
        status = error.exit_code
    except SecmonError as error:
        _complain(error.text(_translator(shared)), error, shared)
        status = error.exit_status
    except OSError as error:
        # A file that a command was told to read or write; the store's own troubles are StoreErrors.
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        _complain(place + (error.strerror or type(error).__name__), error, shared)
        status = EXIT_FAILED
    sys.exit(status if isinstance(status, int) else 0)


def _complain(text: str, error: Exception, shared: dict[str, Any]) -> None:
    """Print an error; with -v also where what led to it was raised, but never its text: that may quote a record."""
    click.echo(safe(text), err=True)
    cause: BaseException | None = error
    while shared.get("verbose") and cause is not None:
        where = cause.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else "?"
        click.echo(safe(f"  {place}: {type(cause).__name__}"), err=True)
        cause = cause.__cause__


def _translator(shared: dict[str, Any]) -> Callable[[str], str]:
    """Return the translation of error texts, asked for only when there is an error."""
    from secmon.i18n import translator  # noqa: PLC0415  lazily: --version must stay fast

    return translator(shared.get("lang"))
