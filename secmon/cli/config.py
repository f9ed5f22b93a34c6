"""`secmon config`: are the settings right, and where does each come from."""

from pathlib import Path
from typing import Any

import click

from secmon.cli.output import flush, write_json, write_table
from secmon.config import read_settings
from secmon.errors import ConfigError


@click.group
def config() -> None:
    """Check and show the settings."""


@config.command("check")
@click.pass_context
def check(ctx: click.Context) -> int:
    """Name every error of the settings as path:line; exit 4 if there is one.

    Example: secmon --config /etc/secmon/secmon.toml config check
    """
    _, errors = _read(ctx)
    for error in errors:
        click.echo(str(error), err=True)
    return ConfigError.exit_status if errors else 0


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
        write_table(("键", "值", "来自") if origin else ("键", "值"), [tuple(row.values()) for row in rows])


def _read(ctx: click.Context) -> tuple[Any, list[ConfigError]]:
    shared: dict[str, Any] = ctx.find_root().obj or {}
    state: Path | None = shared.get("state")
    flags = {"secmon.state": str(state) if state else None, "secmon.lang": shared.get("lang")}
    return read_settings(shared.get("config"), flags=flags)
