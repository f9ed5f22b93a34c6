"""What an operator lays over the rules of a set: overrides before correlations are linked, suppressions behind."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from secmon.sigma.approval import is_governed
from secmon.sigma.collections import is_rule
from secmon.sigma.compile import CompiledRule, RuleError, Settings
from secmon.sigma.documents import YamlDocument
from secmon.sigma.exceptions import read_disabled, read_exception, read_maintenance
from secmon.sigma.linking import Linker
from secmon.sigma.overrides import Override, adjustment, read_override
from secmon.sigma.rule import DocumentKind
from secmon.sigma.suppression import Adjustment, Suppression

Failed = list[tuple[YamlDocument, RuleError]]


def kind_of(document: YamlDocument) -> DocumentKind:
    """Return what a document is."""
    if is_rule(document.data):
        return "rule"
    kinds: tuple[DocumentKind, ...] = ("correlation", "filter", "override", "maintenance")
    found: DocumentKind = next((kind for kind in kinds if kind in document.data), "rule")
    return "exception" if found == "filter" and is_governed(document) else found


@dataclass(slots=True)
class Tuning:
    """The documents that tune a rule set, and what became of them.

    Args:
        documents: exceptions, overrides and maintenance windows, by what identifies them.
        suppressions: what was made of them, by id.
        adjustments: the overrides that change rules, by id.
    """

    documents: dict[str, YamlDocument] = field(default_factory=dict)
    suppressions: tuple[Suppression, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    _disabling: list[Override] = field(default_factory=list)

    def override(self, rules: dict[str, CompiledRule], pending: dict[str, YamlDocument]) -> Failed:
        """Lay the overrides over rules and over correlations that are not compiled yet; return what is wrong."""
        failed: Failed = []
        for document in self._of("override"):
            try:
                found = read_override(document)
                self._lay(found, rules, pending)
                if found.disables:
                    self._disabling.append(found)
            except RuleError as error:
                failed.append((document, error))
        return failed

    def _lay(self, found: Override, rules: dict[str, CompiledRule], pending: dict[str, YamlDocument]) -> None:
        """Lay one override over all its rules; where it cannot be, none of them is changed."""
        single = {key: each for key, each in rules.items() if found.is_for(each.rule.id, each.reference)}
        later = {key: each for key, each in pending.items() if found.is_for(key, each.data.get("name"))}
        _require(found, [(each.rule.id, each.reference) for each in single.values()], later)
        tuned = {key: found.tuned(each) for key, each in single.items()}
        documents = {key: found.tuned_document(each) for key, each in later.items()}
        rules.update(tuned)
        pending.update(documents)
        if found.changes:
            made = adjustment(found, [*tuned, *documents])
            self.adjustments = tuple(sorted((*self.adjustments, made), key=lambda each: each.id))

    def suppress(self, settings: Settings, linker: Linker) -> Failed:
        """Read what suppresses hits, now that every rule is there; return what is wrong."""
        failed: Failed = []
        made: list[Suppression] = []
        for document in (*self._of("exception"), *self._of("maintenance")):
            try:
                is_exception = kind_of(document) == "exception"
                rules = linker.rules
                made.append(
                    read_exception(document, settings, rules) if is_exception else read_maintenance(document, rules)
                )
            except RuleError as error:
                failed.append((document, error))
        for found in self._disabling:
            try:
                made.append(_disabled(found, linker))
            except RuleError as error:
                failed.append((found.document, error))
        self.suppressions = tuple(sorted(made, key=lambda one: one.id))
        return failed

    def _of(self, kind: DocumentKind) -> list[YamlDocument]:
        return [document for document in self.documents.values() if kind_of(document) == kind]


def _disabled(found: Override, linker: Linker) -> Suppression:
    rules = [each.rule.id for each in linker.rules.values() if found.is_for(each.rule.id, each.reference)]
    correlations = [each.rule.id for each in linker.correlations.values() if found.is_for(each.rule.id, each.reference)]
    unusual = [each for each in linker.correlations.values() if each.rule.baseline is not None]
    if any(each.rule.id in correlations for each in unusual):
        line = found.document.line_of("override", "disabled")
        hint = "disable its base rules, or write an exception for them"
        raise RuleError("a rule that compares with what is usual cannot be disabled", line, hint=hint)
    suppression = read_disabled(found.document, found.approval, [*rules, *correlations])
    if correlations and (suppression.units or suppression.assets):
        line = found.document.line_of("custom", "secmon", "units" if suppression.units else "assets")
        hint = "a correlation is of no unit: write an exception for its base rules"
        raise RuleError("a correlation is disabled for all units or for none", line, hint=hint)
    return suppression


def _require(found: Override, single: Iterable[tuple[str, str]], later: Mapping[str, YamlDocument]) -> None:
    names = {name for pair in single for name in pair}
    names |= {str(name) for key, each in later.items() for name in (key, each.data.get("name"))}
    missing = [reference for reference in found.references if reference not in names]
    if missing:
        hint = "it is missing, broken or unroutable"
        line = found.document.line_of("override", "rules")
        raise RuleError(f"it finds no rule {missing[0]}", line, hint=hint)
