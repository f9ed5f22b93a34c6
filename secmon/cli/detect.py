"""`secmon detect`: Sigma rules over log files, one hit a line. Touches no store."""

import gc
import json
import secrets
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import datetime, tzinfo
from itertools import chain, groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import click
import orjson

from secmon.app.detect import Ledger, Row, Station, Worked
from secmon.app.detect_lines import LineStation, SkimStation
from secmon.cli.output import complain, flush, message, safe, words, write_json
from secmon.cli.params import AUTO, LEVELS, KindType, ZoneType
from secmon.clock import SystemClock
from secmon.collect.oneshot import open_reading, read_part
from secmon.content import classifier_files, read_files
from secmon.errors import ContentError, ParseError
from secmon.model.event import Frame
from secmon.model.hit import Level
from secmon.model.patterns import Compiler
from secmon.model.stream import Position
from secmon.parse.frame import Lines, frame_lines, whole_lines
from secmon.parse.native import NATIVE
from secmon.parse.registry import READ_ONCE
from secmon.pipeline import Classifying, Lane
from secmon.sigma.index import Engine
from secmon.sigma.lines import LineEngine
from secmon.sigma.match import Definition
from secmon.sigma.native import native_route
from secmon.sigma.omitted import Omitted, omitted
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.suppressor import Suppressor
from secmon.store.cache import user_cache
from secmon.store.prepared import Prepared, RunNotes

EXIT_FOUND, EXIT_NOT_READY, EXIT_MALFORMED = 3, 4, 5
# Records are handed to workers in blocks of about so many bytes.
BLOCK_BYTES = 1 << 20
KEY_BYTES = 32
# What is made for a record goes without the collector; conditions and gates are many objects that stay.
_COLLECT_SELDOM = (100_000, 50, 100)
_RULE_SUFFIXES = (".yml", ".yaml")


class Part(NamedTuple):
    """Whole lines of a file that a worker shall read itself: where they begin, and how many bytes they are."""

    key: tuple[int, int]
    position: Position
    size: int


# Records of one stream, lines perhaps not cut yet; the stream, and the first bytes of their event ids.
Records = Lines | Part | tuple[Frame, ...]
Block = tuple[Records, Lane, bytes]


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
@click.option("--fail-on", type=LEVELS, help="Exit status 3 if a hit has this level or a higher one.")
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

    Broken and unroutable rules are named on standard error, and so are those that a run over files cannot try:
    baselines, threat intelligence, what needs --classify or the registers. The others go on.

    Example: secmon detect --rules rules --source windows.json --summary security.jsonl
    """
    native = source == NATIVE.name
    ruleset, has_broken, notes = _load(rule_paths, pipelines, native=native)
    if (strict and has_broken) or not ruleset.by_id:
        return EXIT_NOT_READY
    left_out = omitted(ruleset, is_installed=False, classifies=classify)
    _name_left_out(ruleset, left_out)
    ledger = Ledger(ruleset, _suppressor(ruleset))
    run = _Run(ruleset, notes, engine=engine, native=native, classify=classify, workers=workers)
    malformed = _detect(run, ledger, files, source=source, zone=zone)
    if summary:
        _print_summary(ledger, left_out)
    if fail_on and ledger.highest and ledger.highest.rank >= Level(fail_on).rank:
        return EXIT_FOUND
    return EXIT_MALFORMED if malformed else 0


def _load(paths: tuple[Path, ...], pipelines: tuple[Path, ...], *, native: bool) -> tuple[RuleSet, bool, RunNotes]:
    """Load the rules, name those that do not run; tell whether any is broken, and what earlier runs left."""
    found, errors = read_files(paths, "*.yml")
    texts, pipeline_errors = read_files(pipelines, "*.yml")
    for error in pipeline_errors:
        raise error
    prepared = Prepared(user_cache())
    files, ways = [RuleFile(*each) for each in found], [RuleFile(*each) for each in texts]
    ruleset = prepared.rule_set(files, pipelines=ways, native=native)
    for error in errors:
        complain(error)
    ctx = click.get_current_context()
    say = words(ctx)
    for problem in ruleset.problems:
        click.echo(safe(f"{say(problem.state)}: {message(ctx, problem.text)}"), err=True)
    if not ruleset.by_id:
        click.echo(say("no rule could be loaded"), err=True)
    is_broken = bool(errors) or any(problem.state == "broken" for problem in ruleset.problems)
    return ruleset, is_broken, prepared.notes(files, pipelines=ways)


class _Setup(NamedTuple):
    """What a process is set up with; `key` is empty where nothing is classified."""

    ruleset: RuleSet
    notes: RunNotes
    engine: str
    native: bool
    key: bytes
    now: datetime


class _Run:
    """Works blocks of records, here or in other processes; results come in the order of the blocks."""

    def __init__(
        self, ruleset: RuleSet, notes: RunNotes, *, engine: str, native: bool, classify: bool, workers: int
    ) -> None:
        key = secrets.token_bytes(KEY_BYTES) if classify else b""
        self._setup = _Setup(ruleset, notes, engine, native, key, SystemClock().now())
        self.workers = workers

    def works(self, blocks: Iterable[Block]) -> Iterator[Worked]:
        """Yield what became of each block."""
        if self.workers == 1:
            station = _station(self._setup)
            for block in blocks:
                yield station.work(*block)  # type: ignore[arg-type]  # lines for those who take them, and no parts
            return
        context = get_context("fork" if sys.platform == "linux" else "spawn")
        if sys.platform == "linux":
            _stations[:] = [_station(self._setup)]  # here, and all workers have it
        with ProcessPoolExecutor(self.workers, context, _set_up, (self._setup,)) as pool:
            waiting: deque[Future[Worked]] = deque()
            for records, lane, prefix in _gathered(blocks):
                # A kind holds functions that cannot be sent; its name can.
                place = (lane.kind.name, lane.source, lane.generation, lane.zone, lane.place)
                waiting.append(pool.submit(_work, records, place, prefix))
                while len(waiting) > 2 * self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        _stations.clear()


AnyStation = Station | LineStation | SkimStation
_stations: list[AnyStation] = []  # the one of this process, made when the process starts


def _set_up(setup: _Setup) -> None:
    if not _stations:
        _stations.append(_station(setup))


def _work(records: Records, place: tuple[str, str, str, tzinfo, str], prefix: bytes) -> Worked:
    kind, source, generation, zone, path = place
    lane = Lane(source=source, generation=generation, kind=READ_ONCE[kind], zone=zone, place=path)
    station = _stations[0]
    if isinstance(records, Part):
        records = Lines(read_part(path, records.key, records.position.offset, records.size), records.position)
    if isinstance(station, Station):
        return station.work(records.frames() if isinstance(records, Lines) else records, lane, prefix)
    return station.work(records, lane, prefix)


def _station(setup: _Setup) -> AnyStation:
    compiler = Prepared(user_cache()).compile
    ruleset = setup.ruleset
    classifier = _classifier(setup.key, setup.now, compiler) if setup.key else None
    gc.freeze()  # a hundred thousand parts of rules, which no collection shall walk through again
    gc.set_threshold(*_COLLECT_SELDOM)
    fast = setup.engine == "fast"
    suppressor = _suppressor(ruleset)
    if setup.native:
        if not fast:
            return LineStation(Definition(ruleset.rules, router=native_route), ruleset, classifier, suppressor)
        engine = LineEngine(ruleset, compiler=compiler, notes=setup.notes)
        engine.rehearse()
        if classifier is not None:
            return LineStation(engine, ruleset, classifier, suppressor)
        return SkimStation(engine, ruleset, suppressor)
    matcher = Engine(ruleset, compiler=compiler) if fast else Definition(ruleset.rules)
    return Station(matcher, ruleset, classifier, setup.now, suppressor)


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
    for worked in run.works(_blocks(files, source, zone, malformed, shared=run.workers > 1)):
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


def _blocks(
    files: tuple[str, ...], source: str, zone: tzinfo, malformed: list[str], *, shared: bool
) -> Iterator[Block]:
    """Yield the records of all files as they come; `shared`: of lines only where they stand, if workers can read them.

    Sending lines to another process costs about as much as half of what is to be done with them.
    """
    for path in files:
        reading = open_reading(path, source=source, zone=zone)
        if source == AUTO:
            complain(f"{path}: taken for {reading.lane.kind.name} ({reading.confidence:.0%})")
        try:
            kind = reading.lane.kind
            in_lines = kind is NATIVE or (shared and kind.frame is frame_lines)
            for records in whole_lines(reading.chunks) if in_lines else reading.frames:
                is_part = shared and reading.key is not None and isinstance(records, Lines)
                part = Part(reading.key, records.position, len(records.data)) if is_part else records  # type: ignore[union-attr, arg-type]  # just asked
                yield part, reading.lane, reading.prefix
        except ParseError as error:  # a gzip file that ends too early: what was right before has been read
            malformed.append(str(error))
            complain(error)


def _gathered(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield larger blocks, so that sending them to another process pays."""
    for (_, prefix, _), same in groupby(blocks, key=lambda block: (block[1].place, block[2], type(block[0]))):
        gathered: list[Any] = []
        size = 0
        for records, lane, _ in same:
            gathered.append(records)
            size += _size_of(records)
            if size >= BLOCK_BYTES:
                yield _joined(gathered), lane, prefix
                gathered, size = [], 0
        if gathered:
            yield _joined(gathered), lane, prefix


def _size_of(records: Records) -> int:
    if isinstance(records, Part):
        return records.size
    return len(records.data) if isinstance(records, Lines) else sum(len(frame.raw) for frame in records)


def _joined(gathered: list[Any]) -> Records:
    if isinstance(gathered[0], Part):
        return gathered[0]._replace(size=sum(part.size for part in gathered))
    if isinstance(gathered[0], Lines):
        return Lines(b"".join(lines.data for lines in gathered), gathered[0].position)
    return tuple(chain.from_iterable(gathered))


def _write(row: Row) -> None:
    try:
        write_json(row)
    except TypeError:
        # Lone surrogates out of a file name or a JSON escape: printed as escapes.
        text = json.dumps(row, ensure_ascii=False)
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")


# Why rules are left out, and what would run them.
_LEFT_OUT: Mapping[Omitted, str] = {
    Omitted.BASELINE: "{number} rules that compare with what is usual left out: secmon up runs them",
    Omitted.INTELLIGENCE: "{number} rules over threat intelligence left out: secmon up runs them with intel.files",
    Omitted.CLASSIFICATION: "{number} rules over personal data left out: they need --classify",
    Omitted.REGISTERS: "{number} rules over units and assets left out: secmon import and secmon up run them",
}


def _name_left_out(ruleset: RuleSet, left_out: Mapping[str, Omitted]) -> None:
    """Say on standard error which rules are not tried, and why."""
    ctx = click.get_current_context()
    say = words(ctx)
    is_chinese = say is not str
    for why, text in _LEFT_OUT.items():
        rules = [ruleset.by_id[identity] for identity, each in left_out.items() if each is why]
        if rules:
            names = sorted((rule.title_zh if is_chinese else "") or rule.name for rule in rules)
            parted = "、" if is_chinese else "; "
            click.echo(safe(f"{say(text).format(number=len(rules))} ({parted.join(names)})"), err=True)


def _print_summary(ledger: Ledger, left_out: Mapping[str, Omitted]) -> None:
    ruleset = ledger.ruleset
    states = [problem.state for problem in ruleset.problems]
    counts: dict[str, Any] = {
        "events": ledger.events,
        "rules_loaded": len(ruleset.by_id),
        "rules_broken": states.count("broken"),
        "rules_unroutable": states.count("unroutable"),
        "hits": ledger.hits,
        "suppressed": ledger.suppressed,
        "rules_left_out": len(left_out),
        "left_out": {
            why.value: sorted(identity for identity, each in left_out.items() if each is why)
            for why in Omitted
            if why in left_out.values()
        },
    }
    click.echo(orjson.dumps(counts).decode(), err=True)
