"""Correlations are linked to the rules they refer to, and these are told what their hits must carry."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from secmon.model.hit import Level
from secmon.sigma.compile import CompiledRule, RuleError
from secmon.sigma.correlations import Base, CompiledCorrelation, compile_correlation
from secmon.sigma.documents import YamlDocument
from secmon.sigma.limits import MAX_COUNTED
from secmon.sigma.rule import CorrelationRule, KeySpec, Rule
from secmon.sigma.written import as_boolean

# Far more than any chain that is accepted, and less than what Python's stack takes.
_MAX_OPEN = 50


@dataclass(slots=True)
class Linker:
    """Compiles the correlations of a rule set, each after those it refers to.

    Args:
        rules: the rules over single events by id; their hits' keys and captures are filled in.
        pending: the documents of correlations, by what identifies them.
    """

    rules: dict[str, CompiledRule]
    pending: Mapping[str, YamlDocument]
    correlations: dict[str, CompiledCorrelation] = field(default_factory=dict)
    failed: list[tuple[YamlDocument, RuleError]] = field(default_factory=list)
    _named: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    _done: dict[str, str | None] = field(default_factory=dict)

    def link(self) -> None:
        """Compile everything that is pending; what cannot be is in `failed`."""
        for identity, compiled in self.rules.items():
            self._name(compiled.reference, compiled.rule.path, identity)
        for identity, document in self.pending.items():
            self._name(document.data.get("name"), document.path, identity)
        for identity in self.pending:
            self._correlation(identity)
        self._hush()

    def _name(self, name: object, path: str, identity: str) -> None:
        if isinstance(name, str) and name:
            self._named.setdefault(name, []).append((path, identity))

    def _correlation(self, identity: str) -> CompiledCorrelation | None:
        """Return a correlation, compiled now or before; None if it cannot be."""
        if identity not in self._done:
            document = self.pending[identity]
            self._open.append(identity)
            try:
                compiled = compile_correlation(document, lambda name, line: self._base(document, name, line))
                self._capture(document, compiled)
            except RuleError as error:
                self._done[identity] = None
                self.failed.append((document, error))
            else:
                self._done[identity] = compiled.rule.id
                self.correlations[compiled.rule.id] = compiled
            finally:
                self._open.pop()
        done = self._done[identity]
        return self.correlations[done] if done else None

    def _base(self, document: YamlDocument, reference: str, line: int) -> Base:
        """Return what a reference in a document means.

        Raises:
            RuleError: it means nothing that is loaded, several things, or the correlation itself.
        """
        identity = self._identity(document, reference, line)
        if identity in self._open:
            raise RuleError("the correlation refers to itself", line, hint="perhaps through another one")
        if len(self._open) > _MAX_OPEN:
            raise RuleError("the chain is far too long", line)
        if identity in self.rules:
            return self.rules[identity]
        base = self._correlation(identity) if identity in self.pending else None
        if base is None:
            hint = "it is missing, broken or unroutable"
            raise RuleError(f"the rule {reference} is not loaded", line, hint=hint)
        return base

    def _identity(self, document: YamlDocument, reference: str, line: int) -> str:
        """Return the key of a reference: an id, or a name, of which one in the same file is preferred."""
        if reference in self.rules or reference in self.pending:
            return reference
        named = self._named.get(reference, [])
        near = [identity for path, identity in named if path == document.path] or [identity for _, identity in named]
        if len(near) > 1:
            hint = "refer to it by its id"
            raise RuleError(f"several rules have the name {reference}", line, hint=hint)
        return near[0] if near else ""

    def _capture(self, document: YamlDocument, compiled: CompiledCorrelation) -> None:
        """Tell the rules below a correlation what their hits must carry."""
        linked: dict[str, CompiledRule] = {}
        for leaf_id, spec in compiled.specs.items():
            rule = self.rules[leaf_id].rule
            captures = dict(rule.captures)
            for name, fields in _captured(spec, compiled.rule):
                if captures.setdefault(name, fields) != fields:
                    problem = f"the name {name} means another field in another correlation over the same rule"
                    raise RuleError(problem, document.line_of("correlation"), hint="use another alias")
            keys = [spec, *_value_keys(spec, compiled.rule)]
            if len(rule.keys) + len(keys) > MAX_COUNTED:
                problem = f"more than {MAX_COUNTED} correlations count the hits of one rule"
                raise RuleError(problem, document.line_of("correlation", "rules"), hint="leave some of them out")
            rule = replace(rule, keys=(*rule.keys, *keys), captures=tuple(captures.items()))
            linked[leaf_id] = replace(self.rules[leaf_id], rule=rule)
        self.rules.update(linked)

    def _hush(self) -> None:
        """Keep rules that only serve correlations from making hits of their own.

        Those of a broken correlation too: to cry out on every event was never their purpose.
        """
        for document in self.pending.values():
            for identity in self._hushed(document):
                if identity in self.rules:
                    compiled = self.rules[identity]
                    self.rules[identity] = replace(compiled, rule=replace(compiled.rule, generates=False))
                elif (done := self._done.get(identity)) is not None:
                    inner = self.correlations[done]
                    self.correlations[done] = replace(inner, rule=replace(inner.rule, generates=False))

    def _hushed(self, document: YamlDocument) -> Iterator[str]:
        block = document.data["correlation"]
        if not isinstance(block, dict):
            return
        speaking = as_boolean(block.get("generate")) is True
        named: Any = block.get("rules")
        references = [named] if isinstance(named, str) else named if isinstance(named, list) else self._words(document)
        for reference in references:
            try:
                identity = self._identity(document, str(reference), 0)
            except RuleError:
                continue  # an ambiguous name: the correlation is broken, and means none of them
            if not speaking or self._only_informs(identity):
                yield identity

    def _only_informs(self, identity: str) -> bool:
        """Tell whether a rule is there for correlations alone, whatever `generate` says.

        Sigma specification, level informational: "No case or alerting should be triggered by such rules".
        """
        compiled = self.rules.get(identity)
        return compiled is not None and compiled.rule.level is Level.INFORMATIONAL

    def _words(self, document: YamlDocument) -> list[str]:
        """Return the rules of a correlation that names them in its condition only."""
        for compiled in self.correlations.values():
            if (compiled.rule.path, compiled.rule.line) == (document.path, document.line):
                return list(compiled.rule.rule_ids)
        return []


def _value_keys(spec: KeySpec, correlation: CorrelationRule) -> Iterator[KeySpec]:
    """Yield the second key of a hit that counts towards a new_value baseline: that of its group and value together."""
    if correlation.baseline is not None and correlation.baseline.type == "new_value":
        yield replace(spec, group=(*spec.group, *spec.values), values=())


def _captured(spec: KeySpec, correlation: CorrelationRule) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what a hit must carry for a correlation: its group, its values, and what its reason names."""
    yield from spec.group
    yield from spec.values
    known = dict((*spec.group, *spec.values))
    for name in correlation.reason_fields:
        if name not in known:
            yield name, (name,)


def linked(rules: dict[str, CompiledRule], pending: Mapping[str, YamlDocument]) -> Linker:
    """Return the linker of some rules and correlations after its work."""
    linker = Linker(rules, pending)
    linker.link()
    return linker


def rules_of(linker: Linker) -> tuple[tuple[Rule, ...], tuple[CorrelationRule, ...]]:
    """Return the rules and the correlations, each by id."""
    rules = sorted((each.rule for each in linker.rules.values()), key=lambda rule: rule.id)
    correlations = sorted((each.rule for each in linker.correlations.values()), key=lambda rule: rule.id)
    return tuple(rules), tuple(correlations)
