"""One YAML document → one compiled rule, or the reason why not, with its line.

pySigma parses and validates the rule, applies pipelines and modifiers; then the condition tree is translated
(`conditions.py`), and what our events call the fields is put in (`fields.py`).
"""

import hashlib
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule, SigmaRuleBase

from secmon.model.hit import Level
from secmon.model.indicator import Kind
from secmon.sigma import modifiers
from secmon.sigma.collections import ACTIONS
from secmon.sigma.condition_text import (
    Condition,
    ConditionError,
    Junction,
    Name,
    Negation,
    parse_condition,
)
from secmon.sigma.conditions import Placeholders, Translator, UnsupportedError, joined
from secmon.sigma.custom import Custom, CustomError, read_custom
from secmon.sigma.documents import Path, YamlDocument
from secmon.sigma.fields import TAXONOMIES, FieldMap, UnknownFieldError, field_map
from secmon.sigma.limits import MAX_CONDITION_CHARS, MAX_DETECTIONS, RULE, ExcessError, Weight
from secmon.sigma.locate import line_of_error, line_of_field
from secmon.sigma.native import native_fields, native_route
from secmon.sigma.routing import Router, route
from secmon.sigma.rule import DEFAULT_GROUP_BY, TACTICS, IntelMatch, LogSource, ProblemState, Rule
from secmon.sigma.tree import And, Node, Not, Or, fields_of
from secmon.sigma.weighing import check_modifiers, weight_of
from secmon.sigma.written import as_modified, fits_field_reference

# Part of every rule's digest: raise it when the meaning of compiled rules changes.
ENGINE_VERSION = "1"


class RuleError(Exception):
    """A rule cannot run.

    Args:
        problem: what is wrong, on one line.
        line: where.
        hint: what to do about it.
        state: "broken" or "unroutable".
    """

    def __init__(self, problem: str, line: int, *, hint: str = "", state: ProblemState = "broken") -> None:
        super().__init__(problem)
        self.problem, self.line, self.hint, self.state = problem, line, hint, state


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What rules are compiled with.

    Args:
        pipelines: pySigma processing pipelines, applied in order before our own field names.
        placeholders: values for `expand`.
        native: for events whose fields are called as the rules call them (`native.py`).
    """

    pipelines: Sequence[ProcessingPipeline] = ()
    placeholders: Placeholders = field(default_factory=dict)
    native: bool = False

    @property
    def router(self) -> Router:
        """Where log sources are found."""
        return native_route if self.native else route

    def field_map(self, source: LogSource, taxonomy: str) -> FieldMap:
        """Return the function from a rule's field name to event fields."""
        return (native_fields if self.native else field_map)(source, taxonomy)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule, and what correlations over it need to know.

    Args:
        rule: the rule.
        weight: what it takes of the bounds of all rules together.
        reference: its Sigma `name`, by which correlations may refer to it; "" if it has none.
        field_map: its names of fields → names in events.
        written: its log source as it is written, before pipelines.
    """

    rule: Rule
    weight: Weight
    reference: str
    field_map: FieldMap
    written: Mapping[str, Any] = field(default_factory=dict)


def compile_rule(document: YamlDocument, settings: Settings) -> CompiledRule:
    """Compile a rule over single events.

    Raises:
        RuleError: it is wrong, cannot be evaluated exactly, or no source of ours has such a log.
    """
    _refuse_traps(document)
    sigma = _parsed(document, settings)
    custom = custom_of(document)
    if "baseline" in custom.extensions:
        line, hint = document.line_of("custom", "secmon", "baseline"), "write a correlation over this rule"
        raise RuleError("a baseline stands in a correlation", line, hint=hint)
    source = _log_source(sigma)
    taxonomy = sigma.taxonomy
    if taxonomy not in TAXONOMIES:
        hint = "map its fields with --pipeline, or use ECS names and `taxonomy: ecs`"
        raise RuleError(f"the taxonomy {taxonomy} is not known", document.line_of("taxonomy"), hint=hint)
    if settings.router(source) is None:
        line, hint = document.line_of("logsource"), "docs/rules.md lists the log sources that are read"
        raise RuleError(f"no source has the log source {source}", line, hint=hint, state="unroutable")
    mapping = settings.field_map(source, taxonomy)
    tree = _tree(document, sigma, Translator(mapping, settings.placeholders))
    intel = _intel_of(document, mapping) if "intel" in custom.extensions else None
    group_by = custom.group_by if custom.group_by is not None else DEFAULT_GROUP_BY
    rule = Rule(
        id=rule_id(document, sigma),
        name=sigma.title,
        title_zh=custom.title_zh,
        level=level_of(sigma),
        path=document.path,
        line=document.line,
        digest=digest_of(tree, source, group_by, custom.group_window, *([intel] if intel else ())),
        techniques=techniques_of(sigma),
        tactics=tactics_of(sigma),
        controls=custom.controls,
        logsource=source,
        tree=tree,
        fields=fields_of(tree),
        group_by=group_by,
        group_window=custom.group_window,
        reason=custom.reason,
        reason_fields=custom.reason_fields,
        playbook=custom.playbook,
        intel=intel,
    )
    return CompiledRule(rule, weight_of(tree), str(sigma.name or ""), mapping, document.data["logsource"])


def custom_of(document: YamlDocument) -> Custom:
    """Read the block `custom.secmon`.

    Raises:
        RuleError: it is wrong.
    """
    try:
        return read_custom(document)
    except CustomError as error:
        line = document.line_of("custom", "secmon", *error.path)
        raise RuleError(error.problem, line, hint=error.hint) from error


def _intel_of(document: YamlDocument, mapping: FieldMap) -> IntelMatch:
    """Read the block `custom.secmon.intel`: `{fields: [destination.ip], type: ipv4}`, or a list of types."""
    block = document.data["custom"]["secmon"]["intel"]
    line = document.line_of("custom", "secmon", "intel")
    if not isinstance(block, dict) or set(block) - {"fields", "type"}:
        raise RuleError("the block `intel` has `fields` and `type`", line)
    names, kinds = (_list_of(block.get(key)) for key in ("fields", "type"))
    if not names or not all(names):
        raise RuleError("the block `intel` names no fields", line)
    if not kinds or not set(kinds) <= set(Kind):
        raise RuleError("the block `intel` names no known type", line, hint="known: " + ", ".join(Kind))
    try:
        fields = [field for name in names for field in mapping(name)]
    except UnknownFieldError as error:
        raise RuleError("a field of the block `intel` is not known for the log source", line) from error
    return IntelMatch(tuple(dict.fromkeys(fields)), tuple(sorted(set(kinds))))


def _list_of(value: object) -> list[str]:
    """Return a list of texts, also of a single one; what is no text is an empty one."""
    return [each if isinstance(each, str) else "" for each in (value if isinstance(value, list) else [value])]


def rule_id(document: YamlDocument, sigma: SigmaRuleBase) -> str:
    """Return a rule's id; one without is named after its name or title, so that the id survives a move."""
    if sigma.id is not None:
        return str(sigma.id)
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"secmon:{document.data.get('name') or sigma.title}"))


def level_of(sigma: SigmaRuleBase) -> Level:
    """Return a rule's level; Sigma lets it be left out, and then it is medium."""
    return Level(sigma.level.name.lower()) if sigma.level else Level.MEDIUM


def techniques_of(sigma: SigmaRuleBase) -> tuple[str, ...]:
    """Return the ATT&CK technique ids among a rule's tags."""
    names = (tag.name for tag in sigma.tags if tag.namespace == "attack")
    return tuple(sorted({name.upper() for name in names if name[:1] in "tT" and name[1:2].isdigit()}))


def tactics_of(sigma: SigmaRuleBase) -> tuple[str, ...]:
    """Return the ATT&CK tactics among a rule's tags, by their short names; older rules part words by underscores."""
    names = (tag.name.lower().replace("_", "-") for tag in sigma.tags if tag.namespace == "attack")
    return tuple(sorted({name for name in names if name in TACTICS}))


def digest_of(*parts: object) -> str:
    """Return 32 hex over what a rule does (every part has one repr) and the engine's version."""
    text = "\x1e".join([ENGINE_VERSION, *map(repr, parts)])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def one_line(error: BaseException) -> str:
    """Return an error of pySigma on one line, without Python's own noise: addresses change from run to run."""
    return _OBJECT.sub(r"\1", " ".join(str(error).split()))[:300] or type(error).__name__


_OBJECT = re.compile(r"<(?:\w+\.)*(\w+) object at 0x[0-9a-f]+>", re.ASCII)


def _parsed(document: YamlDocument, settings: Settings) -> SigmaRule:
    modifiers.teach()
    try:
        sigma = SigmaRule.from_dict({key: _read(key, value) for key, value in document.data.items()})
        for pipeline in settings.pipelines:
            pipeline.apply(sigma)
    except SigmaError as error:
        raise RuleError(one_line(error), line_of_error(document, error)) from error
    except Exception as error:  # pySigma meets malformed input with whatever Python raises
        problem = f"pySigma cannot read the rule ({type(error).__name__})"
        raise RuleError(problem, line_of_error(document, error)) from error
    return sigma


def _read(key: str, value: Any) -> Any:
    return as_modified(value) if key == "detection" else value


def _log_source(sigma: SigmaRule) -> LogSource:
    def clean(value: str | None) -> str:
        return str(value or "").strip().lower()

    found = sigma.logsource
    return LogSource(clean(found.product), clean(found.category), clean(found.service))


def _tree(document: YamlDocument, sigma: SigmaRule, translator: Translator) -> Node:
    """Return the tree of all conditions of a rule; a list of conditions matches where any of them does."""
    try:
        detections = _Detections(sigma, translator)
        nodes = [
            detections.node(parse_condition(condition.condition)) for condition in sigma.detection.parsed_condition
        ]
    except UnsupportedError as error:
        raise RuleError(error.problem, line_of_field(document, error.field), hint=error.hint) from error
    except ConditionError as error:
        raise RuleError(str(error), document.line_of("detection", "condition")) from error
    except ExcessError as error:
        line, hint = document.line_of("detection", "condition"), "name each detection once"
        raise RuleError(str(error), line, hint=hint) from error
    except SigmaError as error:
        raise RuleError(one_line(error), line_of_error(document, error)) from error
    except (AttributeError, TypeError, RecursionError) as error:
        raise RuleError("pySigma cannot read the condition", document.line_of("detection", "condition")) from error
    tree = joined(Or, nodes)
    if tree is None:
        raise RuleError("the condition holds nothing", document.line_of("detection", "condition"))
    return tree


class _Detections:
    """The detections of a rule, translated when a condition first asks for them.

    Args:
        sigma: the rule, with pipelines applied.
        translator: makes our trees.
    """

    def __init__(self, sigma: SigmaRule, translator: Translator) -> None:
        self._detections, self._translator = sigma.detection, translator
        self._nodes: dict[str, tuple[Node | None, Weight]] = {}
        self._weight = Weight()

    def node(self, condition: Condition) -> Node | None:
        """Return the tree of a condition; None where pipelines dropped all of it."""
        if isinstance(condition, Name):
            return self._named(condition.name)
        if isinstance(condition, Negation):
            inner = self.node(condition.part)
            return None if inner is None else Not(inner)
        if isinstance(condition, Junction):
            return joined(And if condition.kind == "and" else Or, map(self.node, condition.parts))
        names = [name for name in self._detections.detections if condition.fits(name)]
        if not names:  # it would silently count as nothing
            raise ConditionError(f"no detection fits the pattern {condition.pattern} of the condition")
        return joined(And if condition.needs_all else Or, map(self._named, names))

    def _named(self, name: str) -> Node | None:
        if name not in self._detections.detections:
            raise ConditionError(f"the condition names {name}, which is no detection")
        if name not in self._nodes:
            before = self._translator.weight
            parsed = self._detections.detections[name].postprocess(self._detections)
            node = self._translator.node(parsed)
            self._nodes[name] = node, self._translator.weight - before
        node, weight = self._nodes[name]
        self._weight += weight + Weight(comparisons=1)
        self._weight.check(RULE)  # each mention of a detection is one more copy of it
        return node


# What would be done to the placeholder's name, not to its values.
_AFTER_EXPAND = frozenset(
    {"base64", "base64offset", "wide", "utf16", "utf16le", "utf16be", "cidr", "fieldref", "windash"}
)


def _refuse_traps(document: YamlDocument) -> None:
    """Refuse what pySigma would read as something else than is written."""
    data = document.data
    if document.is_too_much:
        raise RuleError("the file repeats too much", document.line, hint="split the file")
    if "action" in data:
        problem, hint = "the action is unknown, or there is nothing to repeat", "known: " + ", ".join(ACTIONS)
        raise RuleError(problem, document.line_of("action"), hint=hint)
    if document.conflict:
        problem = f"the key {document.conflict[-1]} has another value in the global document"
        raise RuleError(problem, document.line_of(*document.conflict), hint="only one of the two would count")
    detection = data.get("detection")
    if not isinstance(detection, dict):
        return
    if "timeframe" in detection:
        line, hint = document.line_of("detection", "timeframe"), "write a correlation rule with a timespan"
        raise RuleError("`timeframe` was replaced by correlations in Sigma 2", line, hint=hint)
    if len(detection) > MAX_DETECTIONS:
        line, hint = document.line_of("detection"), "split the rule"
        raise RuleError(f"more than {MAX_DETECTIONS:,} detections", line, hint=hint)
    _refuse_conditions(detection.get("condition"), document.line_of("detection", "condition"))
    for path, value in _items(detection, ("detection",)):
        _refuse_modifiers(str(path[-1]), value, document.line_of(*path))


def _refuse_conditions(conditions: Any, line: int) -> None:
    length = 0
    for condition in conditions if isinstance(conditions, list) else [conditions]:
        if not isinstance(condition, str):
            raise RuleError("the condition is missing or not a text", line)
        length += len(condition)
    if length > MAX_CONDITION_CHARS:
        raise RuleError(f"conditions of more than {MAX_CONDITION_CHARS:,} characters", line, hint="split the rule")


def _items(data: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield every key and value below `data`, with its path."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*path, key), value
            yield from _items(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _items(value, (*path, index))


def _refuse_modifiers(key: str, value: Any, line: int) -> None:
    """Refuse what pySigma 1.5 gets wrong without a word."""
    _, *names = key.split("|")
    values = value if isinstance(value, list) else [value]
    if names and not values:
        raise RuleError("an empty list", line, hint="null asks for a field without a value")
    try:
        check_modifiers(names, values)
    except ExcessError as error:
        raise RuleError(str(error), line, hint="write the values out, or split the rule") from error
    if "re" in names and any(each is None for each in values):
        raise RuleError("a regular expression is missing", line)
    if not fits_field_reference(names):
        hint = "only startswith, endswith, contains, neq and all go with it, behind it"
        raise RuleError("`fieldref` is the first modifier", line, hint=hint)
    if "expand" in names and not _AFTER_EXPAND.isdisjoint(names[names.index("expand") :]):
        hint = "write the values out, or the modifier before expand"
        raise RuleError("`expand` is not followed by an encoding, cidr, fieldref or windash", line, hint=hint)
