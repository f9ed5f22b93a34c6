"""`secmon config`: are the settings right, and where does each come from."""

import click

from secmon.cli.output import flush, safe, words, write_json, write_table
from secmon.cli.session import flags
from secmon.cli.shared import color, shared
from secmon.config import Settings, missing, read_settings
from secmon.errors import ConfigError


@click.group
def config() -> None:
    """Check and show the settings."""


@config.command("check")
@click.pass_context
def check(ctx: click.Context) -> int:
    """Name every error of the settings as path:line, folders and files that are not there too; exit 4 if any.

    Example: secmon --config /etc/secmon/secmon.toml config check
    """
    settings, errors = _read(ctx)
    say = words(ctx)
    errors += missing(settings)
    for error in errors:
        click.echo(safe(error.text(say)), err=True)
    if errors:
        return ConfigError.exit_status
    if not shared(ctx).get("quiet"):
        click.echo(say("no errors"), err=True)
    return 0


@config.command("show")
@click.option("--origin", is_flag=True, help="Also where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def show(ctx: click.Context, *, origin: bool, as_json: bool) -> None:
    """Show every setting; secrets as ***.

    Example: secmon config show --origin
    """
    settings, errors = _read(ctx)
    if errors:
        for error in errors[1:]:
            click.echo(safe(error.text(words(ctx))), err=True)
        raise errors[0]
    rows = [
        {"key": key, "value": value, **({"origin": settings.origins[key]} if origin or as_json else {})}
        for key, value in settings.shown.items()
    ]
    if as_json:
        for row in rows:
            write_json(row)
        flush()
    else:
        head = ("key", "value", "origin") if origin else ("key", "value")
        write_table([words(ctx)(name) for name in head], [tuple(row.values()) for row in rows], color=color(ctx))


def _read(ctx: click.Context) -> tuple[Settings, list[ConfigError]]:
    settings, errors = read_settings(shared(ctx).get("config"), flags=flags(ctx))
    shared(ctx)["lang"] = settings["secmon.lang"]
    return settings, errors
