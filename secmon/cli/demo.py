"""`secmon demo`: the main job, once, on the shipped logs."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from secmon.cli.output import flush, words, write_json, write_table
from secmon.cli.shared import color, shared
from secmon.errors import ConfigError


@click.command
@click.option(
    "--store",
    type=click.Choice(["sqlite", "elasticsearch"]),
    default="sqlite",
    show_default=True,
    help="Where events are stored.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/demo"),
    show_default=True,
    help="Folder for everything it writes.",
)
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
@click.pass_context
def demo(ctx: click.Context, *, store: str, out: Path, as_json: bool) -> None:
    """Run the main job on the shipped logs: alerts, flagged data, a self-assessment, two documents.

    With --store elasticsearch SECMON_ES_URL names the cluster; what it stores there has names of its own.

    Example: secmon demo --out /tmp/secmon-demo
    """
    from secmon.daemon.demo import run_demo  # noqa: PLC0415  lazily: other commands start fast

    say = words(ctx)
    urls = _cluster() if store == "elasticsearch" else ()
    with _progress(say, quiet=bool(shared(ctx).get("quiet"))) as step:
        found = run_demo(out, store=store, urls=urls, step=step)
    if as_json:
        write_json(found)
        flush()
        return
    _print(found, say, is_colored=color(ctx))


def _cluster() -> tuple[str, ...]:
    """Return the nodes of the cluster that the user named.

    Raises:
        ConfigError: they named none.
    """
    urls = tuple(filter(None, os.environ.get("SECMON_ES_URL", "").split(",")))
    if not urls:
        hint = "set it to a cluster such as http://127.0.0.1:9200; make demo STORE=elasticsearch brings one itself"
        raise ConfigError("no cluster is named", where="SECMON_ES_URL", hint=hint)
    return urls


@contextmanager
def _progress(say: Callable[[str], str], *, quiet: bool) -> Iterator[Callable[[str, Any], None]]:
    """Yield what is told of each step: a bar on a terminal, plain lines elsewhere, nothing if quiet."""
    from secmon.daemon.demo import SOURCES  # noqa: PLC0415

    if quiet:
        yield lambda _name, _progress: None
        return
    if not sys.stderr.isatty():
        yield lambda name, progress: click.echo(f"{name}: {progress.counts.received}", err=True)
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    names = [name for name, *_ in SOURCES]
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task(say("reading logs"), total=len(names))

        def step(name: str, _progress: Any) -> None:
            bar.update(task, description=name, completed=names.index(name) + 1)

        yield step
        bar.update(task, description=say("done"), completed=len(names))


def _print(found: dict[str, Any], say: Callable[[str], str], *, is_colored: bool) -> None:
    names = ("received", "stored", "duplicate", "dead_lettered", "in_flight")
    rows = [
        (
            row["source"],
            row["kind"],
            *(row[name] for name in names[:4]),
            _dropped(row["dropped"], say),
            row["in_flight"],
        )
        for row in found["sources"]
    ]
    sums = [sum(row[name] for row in found["sources"]) for name in names]
    dropped = sum(sum(row["dropped"].values()) for row in found["sources"])
    rows.append((say("total"), "", *sums[:4], str(dropped), sums[4]))
    head = ("source", "kind", "received", "stored", "duplicate", "dead-lettered", "dropped", "in flight")
    write_table([say(name) for name in head], rows, color=is_colored)
    balance = "received {count} = stored + duplicate + dead-lettered + dropped + in flight"
    is_balanced = sums[0] == sum(sums[1:]) + dropped
    click.echo(f"{say(balance).format(count=sums[0])} {'✓' if is_balanced else '✗'}")
    click.echo(say("rule hits {hits}, alerts {alerts}").format(hits=found["hits"], alerts=found["alerts"]["new"]))
    click.echo(f"{say('sensitive data found')}: {_listed(found['findings'])}")
    click.echo(f"{say('等保 self-assessment (26 items, draft)')}: {_listed(found['controls'])}")
    click.echo(f"{say('files')}:")
    for path in found["files"]:
        click.echo(f"  {path}")
    click.echo(f"{say('open the console')}: {found['open'].replace('secmon', _program(), 1)}")


def _program() -> str:
    """Return how this program is called here: not everybody has activated the environment that `make` made."""
    if shutil.which("secmon"):
        return "secmon"
    called = Path(sys.argv[0])
    return f"{sys.executable} -m secmon" if called.name == "__main__.py" else str(called)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _dropped(reasons: dict[str, int], say: Callable[[str], str]) -> str:
    return _listed({say(reason): count for reason, count in reasons.items()}) or "0"
