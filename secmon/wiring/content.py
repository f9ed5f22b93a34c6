"""Content and registers: rules, classifiers, playbooks, catalogues, units, assets.

Rules and classifiers are imported where they are chosen: pySigma and numpy take a second, and a command that only lists
alerts needs neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from secmon.clock import SystemClock
from secmon.config import Settings
from secmon.content import classifier_files, framework_files, list_files, playbook_files, read_files, rule_files
from secmon.errors import ConfigError, ContentError
from secmon.model.asset import AssetRegister
from secmon.model.registers import parse_assets, parse_units
from secmon.model.unit import UnitTree
from secmon.pipeline import Stages
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.store.cache import CacheFolder
from secmon.wiring.intel import load_indicators
from secmon.wiring.keys import load_keys


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
    """Read and compile the rules; what is broken or unroutable is named, the others go on.

    Raises:
        ContentError: a pipeline is wrong: every rule would mean something else without it.
    """
    from secmon.sigma.ruleset import load_rules  # noqa: PLC0415  see above

    return _rule_set(settings, load_rules)


@dataclass(frozen=True, slots=True)
class RuleTexts:
    """What rules are made of.

    Args:
        files: the rules, and what tunes them.
        pipelines: pySigma pipelines.
        lists: name of a placeholder → its values.
    """

    files: Sequence[RuleFile]
    pipelines: Sequence[RuleFile]
    lists: Mapping[str, Sequence[str]]


class _LoadRules(Protocol):
    """Compiles rules, now or out of what was kept."""

    def __call__(
        self,
        files: Sequence[RuleFile],
        *,
        pipelines: Sequence[RuleFile] = (),
        placeholders: Mapping[str, Sequence[str]] | None = None,
    ) -> RuleSet: ...


def rule_texts(settings: Settings) -> tuple[RuleTexts, list[ContentError]]:
    """Read everything that rules are made of, and what is wrong with some of it.

    Raises:
        ContentError: a pipeline cannot be read: every rule would mean something else without it.
    """
    from secmon.sigma.lists import read_lists  # noqa: PLC0415  see above

    files, errors = rule_files(settings["content.rules"])
    pipelines, unread = read_files(settings["content.pipelines"], "*.yml")
    for error in unread:
        raise error
    found, missing = list_files(settings["content.lists"])
    lists, wrong = read_lists([RuleFile(*each) for each in found])
    texts = RuleTexts([RuleFile(*each) for each in files], [RuleFile(*each) for each in pipelines], lists)
    return texts, [*errors, *missing, *wrong]


def _rule_set(settings: Settings, load: _LoadRules) -> tuple[RuleSet, list[str]]:
    texts, errors = rule_texts(settings)
    ruleset = load(texts.files, pipelines=texts.pipelines, placeholders=texts.lists)
    return ruleset, [str(error) for error in errors] + [problem.text for problem in ruleset.problems]


def rule_text(path: str) -> str:
    """Return the text of a rule's file, or of the tests beside it; "" where it cannot be read."""
    found = read_files([Path(path)], "*")[0] if Path(path).is_file() else []
    return found[0][1] if found else ""


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
    return load_content(settings).stages


@dataclass(frozen=True, slots=True)
class Loaded:
    """Content and registers, ready to work, and what was wrong with some of them."""

    stages: Stages
    tree: UnitTree
    class_names: dict[str, str]
    problems: tuple[str, ...]


def load_content(settings: Settings) -> Loaded:
    """Load everything, classifier and rule engine too."""
    from secmon.classify.classifier import Classifier  # noqa: PLC0415  see above
    from secmon.classify.definition import load_definitions  # noqa: PLC0415
    from secmon.sigma.index import Engine  # noqa: PLC0415
    from secmon.sigma.intel import with_intel  # noqa: PLC0415
    from secmon.sigma.seen import FieldWatch  # noqa: PLC0415
    from secmon.sigma.suppressor import Suppressor  # noqa: PLC0415
    from secmon.store.prepared import Prepared  # noqa: PLC0415

    keys = load_keys(settings)
    prepared = Prepared(CacheFolder(settings.state / "cache", keys.record))
    tree, register, register_errors = load_registers(settings)
    ruleset, rule_problems = _rule_set(settings, prepared.rule_set)
    indicators, intel_problems = load_indicators(settings, register)
    if indicators is not None:
        ruleset = with_intel(ruleset, indicators)
    files, file_errors = classifier_files(settings["content.classifiers"])
    definitions, definition_errors = load_definitions(files)
    if not ruleset.by_id:
        raise ContentError("no rule could be loaded", hint="secmon doctor names what is broken")
    if not definitions:
        raise ContentError("no classifier could be loaded", hint="secmon doctor names what is broken")
    classifier = Classifier(
        definitions, token_key=keys.pii, policy=settings.mask, today=_today(), compiler=prepared.compile
    )
    stages = Stages(
        register=register,
        classifier=classifier,
        engine=Engine(ruleset, compiler=prepared.compile),
        ruleset=ruleset,
        record_key=keys.record,
        indicators=indicators,
        suppressor=Suppressor(ruleset.suppressions, tree.subtree) if ruleset.suppressions else None,
        fields=FieldWatch(ruleset),
    )
    errors = [str(error) for error in (*register_errors, *file_errors, *definition_errors)]
    names = {one.id: one.name_zh for one in definitions}
    return Loaded(stages, tree, names, (*errors, *rule_problems, *intel_problems))


def load_registers_only(settings: Settings) -> Loaded:
    """Load what a command needs that only reads or triages."""
    tree, register, errors = load_registers(settings)
    stages = Stages(register=register, classifier=None, engine=None, ruleset=None, record_key=b"")
    return Loaded(stages, tree, {}, tuple(map(str, errors)))


def _today() -> date:
    return SystemClock().now().date()
