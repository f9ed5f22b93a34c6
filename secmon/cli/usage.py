"""Wrong usage, told in the language of the run: click says in English what it found, our catalogue has the Chinese.

click looks its messages up with gettext when it makes them, before the language of the run is known; so they are
recognised afterwards, like every message that was kept with its values filled in (`i18n.translated_usage`).
"""

import click

from secmon.cli.output import safe


def complain_of_usage(error: click.ClickException, language: str | None) -> None:
    """Print what is wrong with a command line on standard error: how it is used, where help is, what is wrong."""
    from secmon.cli.help import in_chinese  # noqa: PLC0415  lazily: --version must stay fast
    from secmon.i18n import translated_usage, translator  # noqa: PLC0415

    say = translator(language)
    if say is str or isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if ctx is not None and isinstance(error, click.BadParameter) and isinstance(error.param, click.Argument):
        error.param_hint = in_chinese(error.param.get_error_hint(ctx))  # as the usage above it calls the argument
    if ctx is not None:
        click.echo(_usage(ctx, say("Usage")), err=True)
        if ctx.command.get_help_option(ctx) is not None:
            option = max(ctx.command.get_help_option_names(ctx), key=len)
            click.echo(say("Help: {command}").format(command=f"{ctx.command_path} {option}"), err=True)
    click.echo(safe(f"{say('Error')}: {translated_usage(error.format_message())}"), err=True)


def _usage(ctx: click.Context, prefix: str) -> str:
    formatter = ctx.make_formatter()
    pieces = ctx.command.collect_usage_pieces(ctx)
    formatter.write_usage(ctx.command_path, " ".join(pieces), prefix=f"{prefix}: ")
    return formatter.getvalue().rstrip("\n")
