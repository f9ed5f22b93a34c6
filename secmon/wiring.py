"""Settings to concrete collectors, stores, notifiers and writers: the only place that chooses."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from secmon.app.installation import Installation, Source
from secmon.clock import SystemClock
from secmon.collect.files import SETTLE_S, FileCollector
from secmon.config import Settings
from secmon.content import classifier_files, framework_files, playbook_files, rule_files
from secmon.errors import ConfigError, ContentError, StoreUnavailableError
from secmon.model.asset import AssetRegister
from secmon.model.registers import parse_assets, parse_units
from secmon.model.unit import UnitTree
from secmon.parse.registry import KINDS
from secmon.pipeline import Stages
from secmon.ports import Clock, Renderer
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.store.keys import load_or_make_key
from secmon.store.lock import WriterLock
from secmon.store.sqlite.eventlog import SqliteEventLog
from secmon.store.sqlite.records import SqliteRecords
from secmon.store.vault import open_vault

# Rules, classifiers and writers of documents are imported where they are chosen: pySigma, numpy and
# typst take a second, and a command that only lists alerts needs none of them.

KEY_BYTES = 32
NO_RULES = RuleSet()
FORMATS = ("html", "docx", "pdf")


def key_paths(settings: Settings) -> tuple[Path, Path, Path]:
    """Return the key files: tokens, vault, record digests."""
    return settings["keys.pii_file"], settings["keys.vault_file"], settings.state / "keys" / "record.key"


def load_registers(settings: Settings) -> tuple[UnitTree, AssetRegister, list[ContentError]]:
    """Read units.yaml and assets.csv; a wrong line never stops the others."""
    errors: list[ContentError] = []
    tree, register = UnitTree(), AssetRegister()
    if path := settings["registers.units"]:
        tree, found = parse_units(str(path), _read(path))
        errors += found
    if path := settings["registers.assets"]:
        register, found = parse_assets(str(path), _read(path), tree)
        errors += found
    return tree, register, errors


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        hint = "see [registers] in the settings"
        raise ConfigError("the register cannot be read: " + type(error).__name__, where=str(path), hint=hint) from error


def load_rule_set(settings: Settings) -> tuple[RuleSet, list[str]]:
    """Read and compile the rules; what is broken or unroutable is named, the others go on."""
    from secmon.sigma.ruleset import load_rules  # noqa: PLC0415  see above

    files, errors = rule_files(settings["content.rules"])
    ruleset = load_rules([RuleFile(path, text) for path, text in files])
    return ruleset, [str(error) for error in errors] + [problem.text for problem in ruleset.problems]


def document_problems(settings: Settings) -> list[str]:
    """Return what is wrong with playbooks, catalogues and criteria; the sound ones are used without the others."""
    from secmon.bulletin.guide import load_guide  # noqa: PLC0415  see above
    from secmon.compliance.framework import load_framework  # noqa: PLC0415
    from secmon.triage.playbook import load_playbook  # noqa: PLC0415

    files, errors = framework_files(settings["content.frameworks"])
    clocks: set[str] = set()
    for path, text in files:
        guide, guide_errors = load_guide(path, text)
        errors += [*guide_errors, *load_framework(path, text)[1]]
        clocks |= {clock.id for clock in guide.clocks} if guide else set()
    books, unread = playbook_files(settings["content.playbooks"])
    errors += unread
    for path, text in books:
        errors += load_playbook(path, text, known_clocks=clocks or None)[1]
    return list(dict.fromkeys(map(str, errors)))


def make_stages(settings: Settings) -> Stages:
    """Build the pure stages: registers, classifier, rule engine. Worker processes call this too.

    Raises:
        ContentError: no rule at all, or no classifier at all: records would pass unseen, or unmasked.
    """
    return _load(settings).stages


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Content and registers, ready to work, and what was wrong with some of them."""

    stages: Stages
    tree: UnitTree
    class_names: dict[str, str]
    problems: tuple[str, ...]


def _load(settings: Settings) -> _Loaded:
    from secmon.classify.classifier import Classifier  # noqa: PLC0415  see above
    from secmon.classify.definition import load_definitions  # noqa: PLC0415
    from secmon.sigma.index import Engine  # noqa: PLC0415

    tree, register, register_errors = load_registers(settings)
    ruleset, rule_problems = load_rule_set(settings)
    files, file_errors = classifier_files(settings["content.classifiers"])
    definitions, definition_errors = load_definitions(files)
    if not ruleset.by_id:
        raise ContentError("no rule could be loaded", hint="secmon doctor names what is broken")
    if not definitions:
        raise ContentError("no classifier could be loaded", hint="secmon doctor names what is broken")
    pii, _, record = key_paths(settings)
    token_key = load_or_make_key(pii, KEY_BYTES)
    classifier = Classifier(definitions, token_key=token_key, policy=settings.mask, today=_today())
    stages = Stages(
        register=register,
        classifier=classifier,
        engine=Engine(ruleset),
        ruleset=ruleset,
        record_key=load_or_make_key(record, KEY_BYTES),
    )
    errors = [str(error) for error in (*register_errors, *file_errors, *definition_errors)]
    names = {one.id: one.name_zh for one in definitions}
    return _Loaded(stages, tree, names, (*errors, *rule_problems))


def _load_registers_only(settings: Settings) -> _Loaded:
    tree, register, errors = load_registers(settings)
    stages = Stages(register=register, classifier=None, engine=None, ruleset=None, record_key=b"")
    return _Loaded(stages, tree, {}, tuple(map(str, errors)))


def _today() -> date:
    return SystemClock().now().date()


@contextmanager
def opened(
    settings: Settings, *, writable: bool, content: bool = True, clock: Clock | None = None
) -> Iterator[Installation]:
    """Open an installation and close it again.

    Args:
        settings: checked settings.
        writable: take the writer lock; without it nothing can be changed.
        content: load rules and classifiers; commands that only read or triage do without.
        clock: another clock than the machine's, for tests and the demo.

    Raises:
        StoreUnavailableError: another process writes, or the store cannot be opened now.
        StoreError: the store is damaged or newer than this program.
    """
    state = settings.state
    with ExitStack() as stack:
        if writable:
            _make_state(state)
            stack.enter_context(WriterLock(state / "writer.lock"))
            _make_keys(settings)
        elif not (state / "control.db").exists():
            raise ConfigError("nothing is stored here yet", where=str(state), hint="run secmon up or secmon import")
        log = SqliteEventLog(state / "events", writable=writable)
        stack.callback(log.close)
        records = SqliteRecords(state / "control.db", writable=writable)
        stack.callback(records.close)
        _, vault, _ = key_paths(settings)
        _kept_key(vault)
        loaded = _load(settings) if content else _load_registers_only(settings)
        yield Installation(
            log=log,
            records=records,
            vault=open_vault(vault),
            clock=clock or SystemClock(),
            stages=loaded.stages,
            ruleset=loaded.stages.ruleset or NO_RULES,
            tree=loaded.tree,
            register=loaded.stages.register,
            class_names=loaded.class_names,
            zone=settings["secmon.zone"],
            retention_days=settings["store.retention_days"],
            sources=sources_of(settings),
            renderers=renderers(settings),
            framework_texts=tuple(framework_files(settings["content.frameworks"])[0]),
            anchor=_anchor(state / "audit.head"),
            problems=(*loaded.problems, *(document_problems(settings) if content else ())),
        )


def _make_keys(settings: Settings) -> None:
    """Make the keys of a new installation; where something is stored already, a missing one is an error.

    A new key could neither open what the old one sealed nor find again what it made tokens of. Keys come before the
    store, so that a start that is cut off between the two leaves nothing half.
    """
    is_new = not (settings.state / "control.db").exists()
    for path in key_paths(settings):
        if is_new:
            load_or_make_key(path, KEY_BYTES)
        else:
            _kept_key(path)


def _kept_key(path: Path) -> None:
    if not path.exists():
        hint = "put it back from a backup; a new key cannot open what the old one sealed"
        raise ConfigError("the key is missing", where=str(path), hint=hint)


def _make_state(state: Path) -> None:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        hint = "name a folder you may write with --state or [secmon] state"
        raise ConfigError("cannot be made: " + type(error).__name__, where=str(state), hint=hint) from error


def sources_of(settings: Settings) -> dict[str, Source]:
    """Return the configured sources by name."""
    return {
        one.name: Source(
            name=one.name,
            kind=one.kind,
            zone=one.zone or settings["secmon.zone"],
            asset=one.asset,
            unit=one.unit,
            silent_after=one.silent_after,
        )
        for one in settings.sources
    }


def collectors_of(settings: Settings, clock: Clock, *, settle_s: float = SETTLE_S) -> list[FileCollector]:
    """Return one collector for each configured source with paths."""
    return [
        FileCollector(
            source=one.name,
            kind=one.kind,
            paths=one.paths,
            clock=clock,
            retention=KINDS[one.kind].retention,
            settle_s=settle_s,
        )
        for one in settings.sources
        if one.paths
    ]


def renderers(settings: Settings) -> Mapping[str, Renderer]:
    """Return the writers of documents by format, each made when it is first asked for."""
    return _Renderers(settings["documents.fonts"])


class _Renderers(Mapping[str, Renderer]):
    def __init__(self, fonts: tuple[Path, ...]) -> None:
        self._fonts = fonts

    def __getitem__(self, name: str) -> Renderer:
        if name not in FORMATS:
            raise KeyError(name)
        return _renderer(name, self._fonts)

    def __iter__(self) -> Iterator[str]:
        return iter(FORMATS)

    def __len__(self) -> int:
        return len(FORMATS)


@cache
def _renderer(name: str, fonts: tuple[Path, ...]) -> Renderer:
    from secmon.render.docx import DocxRenderer  # noqa: PLC0415  see above
    from secmon.render.fonts import FontLibrary  # noqa: PLC0415
    from secmon.render.html import HtmlRenderer  # noqa: PLC0415
    from secmon.render.pdf import PdfRenderer  # noqa: PLC0415

    if name == "html":
        return HtmlRenderer()
    return DocxRenderer() if name == "docx" else PdfRenderer(FontLibrary(fonts))


def _anchor(path: Path) -> Callable[[str], None]:
    def write(head: str) -> None:
        temporary = path.with_suffix(".new")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(head)
                file.flush()
                os.fsync(file.fileno())  # else a power cut can leave an empty file under the name
            temporary.replace(path)
        except OSError as error:
            raise StoreUnavailableError(
                "the audit head cannot be written: {reason}",
                where=str(path),
                hint="see `secmon doctor`",
                values={"reason": os.strerror(error.errno or 0)},
            ) from error

    return write
