"""`secmon demo`: the main job, once, on the shipped logs."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from secmon.cli.output import flush, write_json, write_table


@click.command
@click.option("--store", type=click.Choice(["sqlite"]), default="sqlite", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/demo"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
@click.pass_context
def demo(ctx: click.Context, *, store: str, out: Path, as_json: bool) -> None:
    """Run the main job on the shipped logs: alerts, flagged data, a self-assessment, two documents.

    Example: secmon demo --out /tmp/secmon-demo
    """
    from secmon.daemon.demo import run_demo  # noqa: PLC0415  lazily: other commands start fast

    shared: dict[str, Any] = ctx.find_root().obj or {}
    quiet = bool(shared.get("quiet"))
    with _progress(quiet=quiet) as step:
        found = run_demo(out, store=store, step=step)
    if as_json:
        write_json(found)
        flush()
        return
    _print(found, color=not shared.get("no_color"))


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, Any], None]]:
    """Yield what is told of each step: a bar on a terminal, plain lines elsewhere, nothing if quiet."""
    from secmon.daemon.demo import SOURCES  # noqa: PLC0415

    if quiet:
        yield lambda _name, _progress: None
        return
    if not sys.stderr.isatty():
        yield lambda name, progress: click.echo(f"{name}: {progress.counts.received} 条", err=True)
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    names = [name for name, *_ in SOURCES]
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task("读取日志", total=len(names))

        def step(name: str, _progress: Any) -> None:
            bar.update(task, description=name, completed=names.index(name) + 1)

        yield step
        bar.update(task, description="完成", completed=len(names))


def _print(found: dict[str, Any], *, color: bool) -> None:
    names = ("received", "stored", "duplicate", "dead_lettered", "in_flight")
    rows = [
        (row["source"], row["kind"], *(row[name] for name in names[:4]), _dropped(row["dropped"]), row["in_flight"])
        for row in found["sources"]
    ]
    sums = [sum(row[name] for row in found["sources"]) for name in names]
    dropped = sum(sum(row["dropped"].values()) for row in found["sources"])
    rows.append(("合计", "", *sums[:4], str(dropped), sums[4]))
    write_table(("来源", "类型", "收到", "入库", "重复", "死信", "丢弃", "在途"), rows, color=color)
    balanced = sums[0] == sum(sums[1:]) + dropped
    click.echo(f"核对：收到 {sums[0]} = 入库 + 重复 + 死信 + 丢弃 + 在途 {'✓' if balanced else '✗'}")
    click.echo(f"规则命中 {found['hits']}，告警 {found['alerts']['new']}")
    click.echo("敏感数据识别结果：" + "，".join(f"{name} {count}" for name, count in found["findings"].items()))
    click.echo("等保自查（26 项，草稿）：" + "，".join(f"{name} {count}" for name, count in found["controls"].items()))
    click.echo("文件：")
    for path in found["files"]:
        click.echo(f"  {path}")
    # Not everybody has activated the environment that `make` made.
    program = "secmon" if shutil.which("secmon") else sys.argv[0]
    click.echo(f"打开控制台：{found['open'].replace('secmon', program, 1)}")


def _dropped(reasons: dict[str, int]) -> str:
    return "，".join(f"{name} {count}" for name, count in reasons.items()) or "0"
