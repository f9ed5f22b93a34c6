"""`secmon bulletin`: draft, show and render official documents."""

from pathlib import Path

import click

from secmon.cli.output import flush, safe, write_file, write_json
from secmon.cli.session import session


@click.group
def bulletin() -> None:
    """Draft, show and render bulletins (预警通报、事件报告)."""


@bulletin.command("draft")
@click.option("--kind", type=click.Choice(["warning", "incident-report"]), required=True, help="预警通报, 事件报告.")
@click.option("--from-alert", "alert", required=True, metavar="ID", help="The alert it is drafted from.")
@click.option("--issuer", default="", metavar="UNIT", help="The drafting unit; by default the one that fits the kind.")
@click.option("--to", multiple=True, metavar="UNIT", help="主送; may be repeated; must fit the direction.")
@click.option("--json", "as_json", is_flag=True, help="The whole draft as one JSON object.")
@click.pass_context
def draft(ctx: click.Context, *, kind: str, alert: str, issuer: str, to: tuple[str, ...], as_json: bool) -> None:
    """Draft a document from an alert and print its id; 文号, 签发 and seal stay empty.

    Example: secmon bulletin draft --kind warning --from-alert 0123456789abcdef0123456789abcdef
    """
    found = session(ctx).call("bulletin.draft", kind=kind, alert=alert, issuer=issuer, to=list(to))
    if as_json:
        write_json(found)
        flush()
    else:
        click.echo(found["bulletin.id"])


@bulletin.command("show")
@click.argument("bulletin_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def show(ctx: click.Context, bulletin_id: str, *, as_json: bool) -> None:
    """Show one bulletin.

    Example: secmon bulletin show 0123456789abcdef0123456789abcdef
    """
    here = session(ctx)
    found = here.call("bulletin.show", id=bulletin_id)
    if as_json:
        write_json(found)
        flush()
        return
    click.echo(safe(f"{found['title']} ({found['direction']}, {here.words(found['state'])})"))
    for paragraph in found["paragraphs"]:
        click.echo("  " + safe(paragraph["text"]))


@bulletin.command("render")
@click.argument("bulletin_id", metavar="ID")
@click.option(
    "--format", "format_", type=click.Choice(["html", "docx", "pdf", "json"]), required=True, help="Of the file."
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@click.pass_context
def render(ctx: click.Context, bulletin_id: str, *, format_: str, out: Path) -> None:
    """Write a bulletin as a file.

    Example: secmon bulletin render 0123456789abcdef0123456789abcdef --format docx --out 预警通报.docx
    """
    found = session(ctx).call("bulletin.render", id=bulletin_id, format=format_)
    write_file(out, found.get("file"), found.get("bulletin"))
