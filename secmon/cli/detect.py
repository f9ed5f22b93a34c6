"""`secmon detect`: Sigma rules over log files, one hit a line. Touches no store."""

import gc
import json
import secrets
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import datetime, tzinfo
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import click
import orjson

from secmon.app.detect import ByEvent, Ledger, LineStation, Row, Station, Worked
from secmon.cli.output import complain, flush, message, safe, words, write_json
from secmon.cli.params import AUTO, KindType, ZoneType
from secmon.clock import SystemClock
from secmon.collect.oneshot import open_reading
from secmon.content import classifier_files, read_files
from secmon.errors import ContentError, ParseError
from secmon.model.event import Frame
from secmon.model.hit import Level
from secmon.model.patterns import Compiler
from secmon.parse.native import NATIVE
from secmon.parse.registry import READ_ONCE
from secmon.pipeline import Classifying, Lane
from secmon.sigma.index import Engine
from secmon.sigma.lines import LineEngine
from secmon.sigma.match import Definition
from secmon.sigma.native import native_route
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.suppressor import Suppressor
from secmon.store.cache import user_cache
from secmon.store.prepared import Prepared

EXIT_FOUND, EXIT_NOT_READY, EXIT_MALFORMED = 3, 4, 5
# Records are handed to workers in blocks of about so many bytes.
BLOCK_BYTES = 1 << 20
KEY_BYTES = 32
_RULE_SUFFIXES = (".yml", ".yaml")

# Records of one stream, the stream, and the first bytes of their event ids.
Block = tuple[tuple[Frame, ...], Lane, bytes]


class _RulesTakeSeveral(click.Command):
    """`--rules A B` means `--rules A --rules B` as long as what follows is a folder or a YAML file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        spread: list[str] = []
        for argument in args:
            if spread[-2:-1] == ["--rules"] and _is_rules(argument):
                spread.append("--rules")
            spread.append(argument)
        return super().parse_args(ctx, spread)


def _is_rules(path: str) -> bool:
    return not path.startswith("-") and (path.endswith(_RULE_SUFFIXES) or Path(path).is_dir())


_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)
_PATH = click.Path(exists=True, path_type=Path)
_LEVELS = click.Choice([level.value for level in Level])


@click.command(cls=_RulesTakeSeveral)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=_FILE)
@click.option(
    "--rules", "rule_paths", multiple=True, required=True, type=_PATH, help="Rule file or folder; repeatable."
)
@click.option(
    "--source", type=KindType(auto=True, native=True), default=AUTO, show_default=True, help="Kind of the files."
)
@click.option("--zone", type=ZoneType(), default="Asia/Shanghai", show_default=True, help="Zone of their stamps.")
@click.option("--engine", type=click.Choice(["fast", "match"]), default="fast", help="The engine, or its definition.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option("--pipeline", "pipelines", multiple=True, type=_PATH, help="pySigma processing pipeline; repeatable.")
@click.option("--classify", is_flag=True, help="Classify and mask before detection, as ingest does.")
@click.option("--summary", is_flag=True, help="Counts on standard error at the end.")
@click.option("--fail-on", type=_LEVELS, help="Exit status 3 if a hit has this level or a higher one.")
@click.option("--strict", is_flag=True, help="Exit status 4 if a rule is broken.")
def detect(
    files: tuple[str, ...],
    *,
    rule_paths: tuple[Path, ...],
    source: str,
    zone: tzinfo,
    engine: str,
    workers: int,
    pipelines: tuple[Path, ...],
    classify: bool,
    summary: bool,
    fail_on: str | None,
    strict: bool,
) -> int:
    """Print the hits of Sigma rules in FILE..., one JSON object a line; "-" is standard input.

    Broken and unroutable rules are named on standard error, and the others go on.

    Example: secmon detect --rules rules --source windows.json --summary security.jsonl
    """
    native = source == NATIVE.name
    ruleset, has_broken = _load(rule_paths, pipelines, native=native)
    if (strict and has_broken) or not ruleset.by_id:
        return EXIT_NOT_READY
    ledger = Ledger(ruleset, _suppressor(ruleset))
    run = _Run(ruleset, engine=engine, native=native, classify=classify, workers=workers)
    malformed = _detect(run, ledger, files, source=source, zone=zone)
    if summary:
        _print_summary(ledger)
    if fail_on and ledger.highest and ledger.highest.rank >= Level(fail_on).rank:
        return EXIT_FOUND
    return EXIT_MALFORMED if malformed else 0


def _load(paths: tuple[Path, ...], pipelines: tuple[Path, ...], *, native: bool) -> tuple[RuleSet, bool]:
    """Load the rules, name those that do not run, and tell whether any is broken."""
    found, errors = read_files(paths, "*.yml")
    texts, pipeline_errors = read_files(pipelines, "*.yml")
    for error in pipeline_errors:
        raise error
    ruleset = Prepared(user_cache()).rule_set(
        [RuleFile(*each) for each in found], pipelines=[RuleFile(*each) for each in texts], native=native
    )
    for error in errors:
        complain(error)
    ctx = click.get_current_context()
    say = words(ctx)
    for problem in ruleset.problems:
        click.echo(safe(f"{say(problem.state)}: {message(ctx, problem.text)}"), err=True)
    if not ruleset.by_id:
        click.echo(say("no rule could be loaded"), err=True)
    return ruleset, bool(errors) or any(problem.state == "broken" for problem in ruleset.problems)


class _Setup(NamedTuple):
    """What a process is set up with; `key` is empty where nothing is classified."""

    ruleset: RuleSet
    engine: str
    native: bool
    key: bytes
    now: datetime


class _Run:
    """Works blocks of records, here or in other processes; results come in the order of the blocks."""

    def __init__(self, ruleset: RuleSet, *, engine: str, native: bool, classify: bool, workers: int) -> None:
        key = secrets.token_bytes(KEY_BYTES) if classify else b""
        self._setup = _Setup(ruleset, engine, native, key, SystemClock().now())
        self._workers = workers

    def works(self, blocks: Iterable[Block]) -> Iterator[Worked]:
        """Yield what became of each block."""
        if self._workers == 1:
            station = _station(self._setup)
            for block in blocks:
                yield station.work(*block)
            return
        context = get_context("fork" if sys.platform == "linux" else "spawn")
        with ProcessPoolExecutor(self._workers, context, _set_up, (self._setup,)) as pool:
            waiting: deque[Future[Worked]] = deque()
            for frames, lane, prefix in _gathered(blocks):
                # A kind holds functions that cannot be sent; its name can.
                place = (lane.kind.name, lane.source, lane.generation, lane.zone, lane.place)
                waiting.append(pool.submit(_work, frames, place, prefix))
                while len(waiting) > 2 * self._workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


_stations: list[Station | LineStation] = []  # the one of this process, made when the process starts


def _set_up(setup: _Setup) -> None:
    _stations.append(_station(setup))


def _work(frames: tuple[Frame, ...], place: tuple[str, str, str, tzinfo, str], prefix: bytes) -> Worked:
    kind, source, generation, zone, path = place
    lane = Lane(source=source, generation=generation, kind=READ_ONCE[kind], zone=zone, place=path)
    return _stations[0].work(frames, lane, prefix)


def _station(setup: _Setup) -> Station | LineStation:
    compiler = Prepared(user_cache()).compile
    ruleset = setup.ruleset
    classifier = _classifier(setup.key, setup.now, compiler) if setup.key else None
    gc.freeze()  # a hundred thousand parts of rules, which no collection shall walk through again
    fast = setup.engine == "fast"
    if setup.native:
        definition = ByEvent(Definition(ruleset.rules, router=native_route))
        lines = LineEngine(ruleset, compiler=compiler) if fast else definition
        return LineStation(lines, ruleset, classifier, _suppressor(ruleset))
    matcher = Engine(ruleset, compiler=compiler) if fast else Definition(ruleset.rules)
    return Station(matcher, ruleset, classifier, setup.now, _suppressor(ruleset))


def _suppressor(ruleset: RuleSet) -> Suppressor | None:
    """Return what says which hits are suppressed; there are no units here, so only exceptions for any unit count."""
    return Suppressor(ruleset.suppressions) if ruleset.suppressions else None


def _classifier(key: bytes, now: datetime, compiler: Compiler) -> Classifying:
    """Return the shipped classifiers; their tokens are good for this run only."""
    from secmon.classify.classifier import Classifier  # noqa: PLC0415  lazily: most runs do without
    from secmon.classify.definition import load_definitions  # noqa: PLC0415

    files, _ = classifier_files()
    definitions, errors = load_definitions(files)
    if errors and not definitions:
        raise ContentError("no classifier could be loaded", hint=str(errors[0]))
    return Classifier(definitions, token_key=key, today=now.date(), compiler=compiler)


def _detect(run: _Run, ledger: Ledger, files: tuple[str, ...], *, source: str, zone: tzinfo) -> int:
    """Print the hits in all files; return how many records were malformed."""
    malformed: list[str] = []
    for worked in run.works(_blocks(files, source, zone, malformed)):
        for problem in worked.malformed:
            malformed.append(problem)
            complain(problem)
        for row in ledger.take(worked):
            _write(row)
        flush()
    for row in ledger.close():
        _write(row)
    flush()
    return len(malformed)


def _blocks(files: tuple[str, ...], source: str, zone: tzinfo, malformed: list[str]) -> Iterator[Block]:
    """Yield the records of all files as they come."""
    for path in files:
        reading = open_reading(path, source=source, zone=zone)
        if source == AUTO:
            complain(f"{path}: taken for {reading.lane.kind.name} ({reading.confidence:.0%})")
        try:
            for frames in reading.frames:
                yield frames, reading.lane, reading.prefix
        except ParseError as error:  # a gzip file that ends too early: what was right before has been read
            malformed.append(str(error))
            complain(error)


def _gathered(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield larger blocks, so that sending them to another process pays."""
    for (_, prefix), same in groupby(blocks, key=lambda block: (block[1].place, block[2])):
        frames: list[Frame] = []
        size = 0
        for more, lane, _ in same:
            frames += more
            size += sum(len(frame.raw) for frame in more)
            if size >= BLOCK_BYTES:
                yield tuple(frames), lane, prefix
                frames, size = [], 0
        if frames:
            yield tuple(frames), lane, prefix


def _write(row: Row) -> None:
    try:
        write_json(row)
    except TypeError:
        # Lone surrogates out of a file name or a JSON escape: printed as escapes.
        text = json.dumps(row, ensure_ascii=False)
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")


def _print_summary(ledger: Ledger) -> None:
    ruleset = ledger.ruleset
    states = [problem.state for problem in ruleset.problems]
    counts: dict[str, Any] = {
        "events": ledger.events,
        "rules_loaded": len(ruleset.by_id),
        "rules_broken": states.count("broken"),
        "rules_unroutable": states.count("unroutable"),
        "hits": ledger.hits,
        "suppressed": ledger.suppressed,
    }
    click.echo(orjson.dumps(counts).decode(), err=True)
