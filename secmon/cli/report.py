"""`secmon report`: compliance reports in which every line leads to evidence."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from secmon.cli.output import write_file
from secmon.cli.session import session


@click.group
def report() -> None:
    """Write compliance reports (合规报告)."""


@report.command("mlps")
@click.option("--asset", required=True, help="The information system, by its id in the asset register.")
@click.option("--level", type=click.Choice(["3"]), default="3", show_default=True, help="等保级别.")
@click.option(
    "--at", type=click.DateTime(["%Y-%m-%d"]), help="Last day of the period, such as 2026-11-21; by default now."
)
@click.option("--days", type=click.IntRange(1, 3660), default=180, show_default=True, help="Length of the period.")
@click.option(
    "--format", "format_", type=click.Choice(["html", "docx", "pdf", "json"]), required=True, help="Of the file."
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@click.pass_context
def mlps(
    ctx: click.Context, *, asset: str, level: str, at: datetime | None, days: int, format_: str, out: Path
) -> None:
    """Write the 等保 self-assessment (自查) of one asset: 单位自查，不作为等级测评结论.

    Example: secmon report mlps --asset A-0007 --format pdf --out 自查.pdf
    """
    del level  # the catalogue of level 3 is the one there is
    day = at.date().isoformat() if at else None
    found: dict[str, Any] = session(ctx).call("report.mlps", asset=asset, at=day, days=days, format=format_)
    write_file(out, found.get("file"), found["report"])
