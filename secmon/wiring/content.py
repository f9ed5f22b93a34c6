"""Content and registers: rules, classifiers, playbooks, catalogues, units, assets.

Rules and classifiers are imported where they are chosen: pySigma and numpy take a second, and a command that only lists
alerts needs neither.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secmon.app.installation import lazily_compiled
from secmon.config import Settings
from secmon.content import framework_files, playbook_files, read_files
from secmon.errors import ContentError
from secmon.model.asset import AssetRegister
from secmon.model.calendar import Calendar
from secmon.model.registers import parse_assets, parse_units
from secmon.model.unit import UnitTree
from secmon.pipeline import Stages
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.store.cache import CacheFolder
from secmon.wiring.calendar import load_calendar
from secmon.wiring.intel import load_indicators
from secmon.wiring.keys import Keys
from secmon.wiring.texts import Texts, read_register, rule_texts

if TYPE_CHECKING:
    from secmon.model.patterns import Compiler


def load_registers(settings: Settings) -> tuple[UnitTree, AssetRegister, list[ContentError]]:
    """Read units.yaml and assets.csv; a wrong line never stops the others.

    Raises:
        ConfigError: one of them cannot be read.
    """
    return _registers(read_register(settings["registers.units"]), read_register(settings["registers.assets"]))


def _registers(units: RuleFile | None, assets: RuleFile | None) -> tuple[UnitTree, AssetRegister, list[ContentError]]:
    errors: list[ContentError] = []
    tree, register = UnitTree(), AssetRegister()
    if units is not None:
        tree, found = parse_units(units.path, units.text)
        errors += found
    if assets is not None:
        register, found = parse_assets(assets.path, assets.text, tree)
        errors += found
    return tree, register, errors


def load_rule_set(settings: Settings) -> tuple[RuleSet, list[str]]:
    """Read and compile the rules; what is broken or unroutable is named, the others go on.

    Raises:
        ContentError: a pipeline is wrong: every rule would mean something else without it.
    """
    from secmon.sigma.ruleset import load_rules  # noqa: PLC0415  see above

    texts, errors = rule_texts(settings)
    ruleset = load_rules(texts.files, pipelines=texts.pipelines, placeholders=texts.lists)
    return ruleset, [str(error) for error in errors] + [problem.text for problem in ruleset.problems]


def _rule_text(texts: Texts | None, path: str) -> str:
    """Return the text of a rule's file as it is in force; of the tests beside it, as they are now."""
    if texts is not None and (text := texts.text_of(path)):
        return text
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


def make_stages(settings: Settings, texts: Texts, keys: Keys) -> Stages:
    """Build the pure stages: registers, classifier, rule engine. Worker processes call this too.

    Raises:
        ContentError: no rule at all, or no classifier at all: records would pass unseen, or unmasked.
    """
    return load_content(settings, texts, keys).stages


@dataclass(frozen=True, slots=True)
class Loaded:
    """Content and registers, ready to work.

    Args:
        stages: what records go through.
        tree: the units.
        calendar: the school calendar.
        class_names: class of personal data → its Chinese name.
        compiler: makes pattern databases of rules.
        rule_text: path of a rule in force, or of the tests beside it → the file's text; "" where there is none.
        problems: what was wrong with some of it.
    """

    stages: Stages
    tree: UnitTree
    calendar: Calendar
    class_names: Mapping[str, str] = field(default_factory=dict)
    compiler: "Compiler" = lazily_compiled
    rule_text: Callable[[str], str] = lambda _path: ""
    problems: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """Return it as fields of an installation."""
        return {
            "stages": self.stages,
            "ruleset": self.stages.ruleset or RuleSet(),
            "tree": self.tree,
            "register": self.stages.register,
            "calendar": self.calendar,
            "class_names": self.class_names,
            "compiler": self.compiler,
            "rule_text": self.rule_text,
            "problems": self.problems,
        }


def load_content(settings: Settings, texts: Texts, keys: Keys) -> Loaded:
    """Load everything, classifier and rule engine too, from what was read; nothing is read here.

    Raises:
        ContentError: no rule at all, or no classifier at all; or a pipeline is wrong.
    """
    from secmon.classify.classifier import Classifier  # noqa: PLC0415  see above
    from secmon.classify.definition import load_definitions  # noqa: PLC0415
    from secmon.sigma.index import Engine  # noqa: PLC0415
    from secmon.sigma.intel import with_intel  # noqa: PLC0415
    from secmon.sigma.seen import FieldWatch  # noqa: PLC0415
    from secmon.sigma.suppressor import Suppressor  # noqa: PLC0415
    from secmon.store.prepared import Prepared  # noqa: PLC0415

    prepared = Prepared(CacheFolder(settings.state / "cache", keys.record))
    tree, register, errors = _registers(texts.units, texts.assets)
    rules, wrong = texts.of_rules()
    ruleset = prepared.rule_set(rules.files, pipelines=rules.pipelines, placeholders=rules.lists)
    indicators, intel_problems = load_indicators(settings, texts.intel, register)
    if indicators is not None:
        ruleset = with_intel(ruleset, indicators)
    definitions, definition_errors = load_definitions([(file.path, file.text) for file in texts.classifiers])
    if not ruleset.by_id:
        raise ContentError("no rule could be loaded", hint="secmon doctor names what is broken")
    if not definitions:
        raise ContentError("no classifier could be loaded", hint="secmon doctor names what is broken")
    classifier = Classifier(
        definitions, token_key=keys.pii, policy=settings.mask, today=texts.today, compiler=prepared.compile
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
    named = [str(error) for error in (*errors, *definition_errors, *texts.errors, *texts.unread, *wrong)]
    calendar, calendar_problems = load_calendar(settings, texts.calendar)
    return Loaded(
        stages=stages,
        tree=tree,
        calendar=calendar,
        class_names={one.id: one.name_zh for one in definitions},
        compiler=prepared.compile,
        rule_text=partial(_rule_text, texts),
        problems=(*named, *(one.text for one in ruleset.problems), *intel_problems, *calendar_problems),
    )


def content_fields(settings: Settings, loaded: Loaded) -> dict[str, Any]:
    """Return content as fields of an installation, with what is wrong with playbooks, catalogues and criteria."""
    return loaded.fields() | {"problems": (*loaded.problems, *document_problems(settings))}


def load_registers_only(settings: Settings) -> Loaded:
    """Load what a command needs that only reads or triages."""
    tree, register, errors = load_registers(settings)
    stages = Stages(register=register, classifier=None, engine=None, ruleset=None, record_key=b"")
    calendar = Calendar(zone=settings["secmon.zone"])
    return Loaded(stages, tree, calendar, rule_text=partial(_rule_text, None), problems=tuple(map(str, errors)))
