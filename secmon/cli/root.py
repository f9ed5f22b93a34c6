"""The command `secmon`: options that every command shares, lazy loading, errors to exit statuses."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from secmon.errors import SecmonError

# name → "module:function"; a module is imported only when its command runs (`secmon --version` < 150 ms).
COMMANDS = {
    "parse": "secmon.cli.parse:parse",
    "detect": "secmon.cli.detect:detect",
    "scan": "secmon.cli.scan:scan",
    "rules": "secmon.cli.rules:rules",
    "import": "secmon.cli.import_:import_",
    "sources": "secmon.cli.sources:sources",
    "deadletters": "secmon.cli.deadletters:deadletters",
    "alerts": "secmon.cli.alerts:alerts",
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
        return command


# Options that may stand before or after the command; `shared_options` adds them to a command.
_SHARED: tuple[Callable[[Any], Any], ...] = (
    click.option("--config", type=click.Path(path_type=Path, dir_okay=True), help="Settings file or its folder."),
    click.option("--state", type=click.Path(path_type=Path), help="State folder."),
    click.option("--lang", type=click.Choice(["zh-CN", "en"]), help="Language of what people read."),
    click.option("--no-color", is_flag=True, default=None, help="No colours (also NO_COLOR)."),
    click.option("-q", "--quiet", is_flag=True, default=None, help="Nothing but data and errors."),
    click.option("-v", "--verbose", is_flag=True, default=None, help="More about what is going on."),
)


def _hoist(arguments: list[str]) -> list[str]:
    """Move shared options that stand behind the command in front of it, so that both places are the same."""
    with_value, flags = {"--config", "--state", "--lang"}, {"--no-color", "-q", "--quiet", "-v", "--verbose"}
    front: list[str] = []
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        if argument == "--":
            rest += [argument, *queue]
            break
        name = argument.partition("=")[0]
        if argument in with_value and queue:
            front += [argument, queue.pop(0)]
        elif (name in with_value and "=" in argument) or argument in flags:
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest


def _with_shared(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_SHARED):
        command = option(command)
    return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="secmon", prog_name="secmon")
@_with_shared
@click.pass_context
def cli(ctx: click.Context, /, **shared: Any) -> None:
    """Monitor of network security and data compliance for education authorities, schools and universities.

    教育系统网络安全与数据合规监测.
    """
    ctx.obj = shared


def main(arguments: list[str] | None = None) -> None:
    """Run the command and turn errors into exit statuses; the only place that does."""
    argv = _hoist(sys.argv[1:] if arguments is None else arguments)
    try:
        status = cli.main(argv, prog_name="secmon", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SecmonError as error:
        click.echo(error.text(_translator(argv)), err=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away (`| head`): not our failure; keep Python from complaining at exit.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)


def _translator(argv: list[str]) -> Callable[[str], str]:
    """Return the translation of error texts, asked for only when there is an error."""
    from secmon.i18n import translator  # noqa: PLC0415  lazily: --version must stay fast

    lang = argv[argv.index("--lang") + 1] if "--lang" in argv[:-1] else None
    return translator(lang)
