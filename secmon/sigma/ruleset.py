"""All rules of a detection run: loaded, linked, and those that do not run with the reason why."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline

from secmon.errors import ContentError
from secmon.sigma.collections import assembled
from secmon.sigma.compile import CompiledRule, RuleError, Settings, compile_rule, digest_of, one_line
from secmon.sigma.conditions import Placeholders
from secmon.sigma.documents import YamlDocument, documents
from secmon.sigma.filters import read_filter
from secmon.sigma.limits import (
    MAX_CORRELATIONS,
    MAX_FILTERS,
    MAX_NAME,
    MAX_NARROWINGS,
    MAX_SET_RULES,
    MAX_TUNING,
    RULE_SET,
    ExcessError,
    Weight,
)
from secmon.sigma.linking import linked, rules_of
from secmon.sigma.rule import CorrelationRule, ProblemState, Rule, RuleFile, RuleProblem, RuleSet
from secmon.sigma.tuning import Tuning, kind_of

FEWER = "so much is the most for all rules together: load fewer"


@dataclass(slots=True)
class _Loader:
    settings: Settings
    rules: dict[str, CompiledRule] = field(default_factory=dict)
    pending: dict[str, YamlDocument] = field(default_factory=dict)
    filters: dict[str, YamlDocument] = field(default_factory=dict)
    tuning: Tuning = field(default_factory=Tuning)
    linked: tuple[tuple[Rule, ...], tuple[CorrelationRule, ...]] = ((), ())
    problems: list[RuleProblem] = field(default_factory=list)
    weight: Weight = field(default_factory=Weight)
    narrowings: int = 0

    def read(self, file: RuleFile) -> None:
        """Compile the rules of a file and put its correlations aside: their base rules may come later."""
        seen: set[str] = set()
        try:
            for document in assembled(documents(file.path, file.text)):
                self.take(document, seen)
        except ContentError as error:
            line = error.where.rpartition(":")[2]
            self.problems.append(
                RuleProblem(file.path, int(line) if line.isdigit() else 1, "", "broken", error.problem, error.hint)
            )

    def take(self, document: YamlDocument, seen: set[str]) -> None:
        try:
            _refuse_strangers(document)
            if kind_of(document) != "rule":
                self.put_aside(document, seen)
                return
            compiled = compile_rule(document, self.settings)
            self.refuse_twin(document, compiled.rule.id, seen)
            self.forget(compiled.rule.id)
            self.weigh(document, compiled.weight)
            self.rules[compiled.rule.id] = compiled
        except RuleError as error:
            self.report(document, error)

    def put_aside(self, document: YamlDocument, seen: set[str]) -> None:
        identity = str(document.data.get("id") or document.data.get("name") or document.data.get("title") or "")
        self.refuse_twin(document, identity, seen)
        self.forget(identity)
        kinds = {"filter": (self.filters, MAX_FILTERS), "correlation": (self.pending, MAX_CORRELATIONS)}
        aside, most = kinds.get(kind_of(document), (self.tuning.documents, MAX_TUNING))
        if len(aside) >= most:
            raise RuleError(f"there are more than {most:,} documents of its kind", document.line, hint=FEWER)
        aside[identity] = document

    def weigh(self, document: YamlDocument, weight: Weight) -> None:
        """Take the room of one more rule of the set."""
        if len(self.rules) >= MAX_SET_RULES:
            raise RuleError(f"more than {MAX_SET_RULES:,} rules", document.line, hint=FEWER)
        total = self.weight + weight
        try:
            total.check(RULE_SET)
        except ExcessError as error:
            raise RuleError(str(error), document.line, hint=FEWER) from error
        self.weight = total

    def refuse_twin(self, document: YamlDocument, identity: str, seen: set[str]) -> None:
        """Refuse a second rule of one id in a file; in another file it replaces the first (an overlay does)."""
        nameless = "id" not in document.data
        known = (self.rules, self.pending, self.filters, self.tuning.documents)
        if identity in seen or (nameless and any(identity in some for some in known)):
            hint = "give the rule an id of its own"
            raise RuleError("another rule has the same id", document.line_of("id"), hint=hint)
        seen.add(identity)

    def forget(self, identity: str) -> None:
        if replaced := self.rules.pop(identity, None):
            self.weight -= replaced.weight
        self.pending.pop(identity, None)
        self.filters.pop(identity, None)
        self.tuning.documents.pop(identity, None)

    def narrow(self) -> None:
        """Apply the filters, now that every rule is there."""
        for document in self.filters.values():
            try:
                self.apply(document)
            except RuleError as error:
                self.report(document, error)

    def apply(self, document: YamlDocument) -> None:
        """Apply one filter to all its rules; where it cannot be, none of them is narrowed."""
        found = read_filter(document, self.settings)
        chosen = {identity: each for identity, each in self.rules.items() if found.is_for(each)}
        names = {name for each in chosen.values() for name in (each.rule.id, each.reference)}
        missing = [reference for reference in found.rules if reference not in names]
        self.narrowings += len(chosen)
        if self.narrowings > MAX_NARROWINGS:
            problem = f"filters are applied more than {MAX_NARROWINGS:,} times"
            raise RuleError(problem, document.line_of("filter", "rules"), hint=FEWER)
        narrowed = {identity: found.narrowed(each) for identity, each in chosen.items()}
        for identity, each in narrowed.items():
            self.weigh(document, each.weight - chosen[identity].weight)
            self.rules[identity] = each
        if missing or not narrowed:
            hint = "it is missing, broken, unroutable, a correlation, or of another log source"
            problem = f"the filter finds no rule {missing[0]}" if missing else "the filter finds no rule"
            raise RuleError(problem, document.line_of("filter", "rules"), hint=hint)

    def link(self) -> None:
        """Compile the correlations, now that every rule is there, and what quiets them."""
        failed = self.tuning.override(self.rules, self.pending)
        linker = linked(self.rules, self.pending)
        failed += [*linker.failed, *self.tuning.suppress(self.settings, linker)]
        for document, error in failed:
            self.report(document, error)
        self.linked = rules_of(linker)

    def report(self, document: YamlDocument, error: RuleError) -> None:
        data = document.data if isinstance(document.data, dict) else {}
        identity, name = (str(data.get(key) or "")[:MAX_NAME] for key in ("id", "title"))
        state: ProblemState = error.state
        kind = kind_of(document) if isinstance(document.data, dict) else "rule"
        self.problems.append(
            RuleProblem(document.path, error.line, identity, state, error.problem, error.hint, name, kind)
        )

    def result(self) -> RuleSet:
        rules, correlations = self.linked
        everything: tuple[Rule | CorrelationRule, ...] = (*rules, *correlations)
        digests = sorted((rule.id, rule.digest, *_beside(rule)) for rule in everything)
        quiet = [(one.id, one.digest) for one in self.tuning.suppressions]
        return RuleSet(
            rules=tuple(rule for rule in rules if rule.intel is None),
            intel_rules=tuple(rule for rule in rules if rule.intel is not None),
            correlations=tuple(each for each in correlations if each.baseline is None),
            baselines=tuple(each for each in correlations if each.baseline is not None),
            problems=tuple(sorted(self.problems)),
            digest=digest_of(digests, quiet) if quiet else digest_of(digests),
            by_id={rule.id: rule for rule in everything},
            suppressions=self.tuning.suppressions,
            adjustments=self.tuning.adjustments,
        )


def _beside(rule: Rule | CorrelationRule) -> tuple[str, ...]:
    """Return what its hits or alerts say though it does not decide what it finds: its own digest does not cover it."""
    return rule.level, rule.reason, str(rule.generates), rule.playbook, *rule.controls


def _refuse_strangers(document: YamlDocument) -> None:
    if not isinstance(document.data, dict):
        raise RuleError("a rule is a mapping of keys to values", document.line)


def load_rules(
    files: Sequence[RuleFile],
    *,
    pipelines: Sequence[RuleFile] = (),
    placeholders: Placeholders | None = None,
    native: bool = False,
) -> RuleSet:
    """Compile every rule of some files; one broken rule never stops the others.

    Args:
        files: in order; a rule of a later file replaces one of the same id in an earlier file.
        pipelines: pySigma processing pipelines (YAML), applied in order.
        placeholders: values for the modifier `expand`, by name.
        native: for events whose fields are called as the rules call them.

    Raises:
        ContentError: a pipeline is wrong; without it every rule would mean something else.
    """
    settings = Settings(
        pipelines=[_pipeline(file) for file in pipelines],
        placeholders={} if placeholders is None else placeholders,
        native=native,
    )
    loader = _Loader(settings)
    for file in files:
        loader.read(file)
    loader.narrow()
    loader.link()
    return loader.result()


def _pipeline(file: RuleFile) -> ProcessingPipeline:
    try:
        return ProcessingPipeline.from_yaml(file.text)
    except SigmaError as error:
        raise ContentError("the pipeline is wrong: " + one_line(error), where=file.path) from error
    except Exception as error:  # pySigma meets malformed input with whatever Python raises
        raise ContentError(f"the pipeline cannot be read ({type(error).__name__})", where=file.path) from error
