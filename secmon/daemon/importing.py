"""Imports as a job: by the daemon for a command, or by the command itself when no daemon runs."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from secmon.app.evaluate import evaluate
from secmon.app.imports import Imported, import_streams
from secmon.app.ingest import Progress
from secmon.app.installation import Installation, Source
from secmon.app.recovery import recover
from secmon.app.streams import source_of
from secmon.app.work import Desk, InlineWork, Work
from secmon.collect.oneoff import ImportCollector
from secmon.collect.standard_input import Readable
from secmon.config import Settings
from secmon.daemon.workers import pool_of
from secmon.errors import ContentError, SecmonError, StoreUnavailableError
from secmon.model.access import Access
from secmon.model.zone import zone_of
from secmon.parse.registry import KINDS
from secmon.wiring import opened, read_texts

# Below this much input the start of worker processes costs more than they save.
WORTH_WORKERS_BYTES = 32 << 20


def import_into(
    house: Installation,
    access: Access,
    args: Mapping[str, Any],
    *,
    work: Work,
    data: Readable | None,
    step: Callable[[Progress], None] = lambda _progress: None,
    stop: Callable[[], bool] = lambda: False,
    desk: Callable[[], Desk] | None = None,
) -> Imported:
    """Import files into an open installation.

    Args:
        house: the installation, opened for writing.
        access: who imports.
        args: "source", "files" (absolute paths, "-" for `data`), "zone" and "unit" ("" for the source's own),
            "strict" (refuse to work while rules, classifiers or documents are broken).
        work: who works the records.
        data: what "-" reads.
        step: told of each committed step.
        stop: asked between batches; True ends after what is in flight.
        desk: asked between batches for the rules in force; None keeps those of `house`.

    Raises:
        StoreUnavailableError: the store cannot be written now, or it was stopped; what is committed stays.
    """
    source = source_of(house, str(args["source"]))
    if args.get("zone"):
        source = replace(source, zone=zone_of(str(args["zone"])))
    if args.get("unit"):
        source = replace(source, unit=str(args["unit"]))
    if args.get("strict") and house.problems:
        values = {"count": len(house.problems), "first": house.problems[0]}
        raise ContentError(
            "nothing was imported, content is broken: {count}, first {first}", hint="secmon doctor", values=values
        )
    ours = _with_source(house, source)
    missing = [name for name in args["files"] if name != "-" and not Path(name).exists()]
    if missing:
        raise SecmonError("the file is not there", where=missing[0], hint="check the path")
    collector = ImportCollector(
        source=source.name,
        kind=source.kind,
        retention=KINDS[source.kind].retention,
        files=list(args["files"]),
        clock=house.clock,
        standard_input=cast("BinaryIO | None", data),
    )
    try:
        done = import_streams(ours, access, collector, work=work, step=step, stop=stop, desk=_for(source, desk))
    finally:
        collector.close()
    if stop():
        raise StoreUnavailableError("the daemon stops", where=source.name, hint="run the command again later")
    return done


def _with_source(house: Installation, source: Source) -> Installation:
    return replace(house, sources={**house.sources, source.name: source})


def _for(source: Source, desk: Callable[[], Desk] | None) -> Callable[[], Desk] | None:
    """Return the desk as an import sees it: its source may be none that the settings know."""
    if desk is None:
        return None

    def ours() -> Desk:
        found = desk()
        return Desk(_with_source(found.house, source), found.work)

    return ours


def run_import(
    settings: Settings,
    access: Access,
    args: Mapping[str, Any],
    *,
    data: Readable | None,
    step: Callable[[Progress], None] = lambda _progress: None,
) -> dict[str, Any]:
    """Import without a daemon: take the writer lock, import, bring alerts up to date; return the account."""
    with ExitStack() as stack:
        texts = read_texts(settings)
        house = stack.enter_context(opened(settings, writable=True, texts=texts))
        if not house.is_shared:  # where others write too, each stream is recovered when it is read
            recover(house, access)
        work: Work = InlineWork(house.stages)
        size = sum(Path(name).stat().st_size for name in args["files"] if name != "-" and Path(name).is_file())
        if size >= WORTH_WORKERS_BYTES and settings["secmon.workers"]:
            pool = pool_of(settings, texts, house.ruleset.digest, workers=settings["secmon.workers"])
            stack.callback(pool.close)
            work = pool
        done = import_into(house, access, args, work=work, data=data, step=step)
        evaluate(house, access)
        return {**done.row(), "problems": done.problems, "warnings": list(house.problems)}
