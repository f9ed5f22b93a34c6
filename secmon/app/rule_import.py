"""Rules of somebody else beside those that are there: what is new, changed, the same, and what cannot run here.

A rule is compared by what stands in it, not by the bytes of its file. Files are taken over byte for byte, so that the
author and the licence of a rule, its references and its comments stay with it.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from secmon.errors import ContentError
from secmon.model.hit import Level
from secmon.sigma.collections import assembled
from secmon.sigma.documents import YamlDocument, documents
from secmon.sigma.rule import RuleFile, RuleProblem
from secmon.sigma.ruleset import load_rules

NEW, CHANGED, SAME, UNSUPPORTED = "new", "changed", "same", "unsupported"


@dataclass(frozen=True, slots=True)
class ImportedRule:
    """One rule, correlation or filter of a bundle.

    Args:
        path: its file in the bundle.
        rule_id: its id, or "".
        name: its title.
        change: what it is to those that are there.
        reason: why it cannot run here, with its line; "" if it can.
        author: as the rule says, or "".
        licence: as the rule says, else the licence file above it, or "".
        level: as the rule says; "" if it says none, or cannot be read.
    """

    path: str
    rule_id: str
    name: str
    change: str
    reason: str = ""
    author: str = ""
    licence: str = ""
    level: str = ""

    def is_missed(self, level: Level) -> bool:
        """Tell whether it cannot run here and has this level or a higher one; one without a level may have any."""
        if self.change != UNSUPPORTED:
            return False
        return self.level not in set(Level) or Level(self.level).rank >= level.rank


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would do.

    Args:
        rules: every rule of the bundle, in order of files.
        writes: place below the target folder → file of the bundle.
        others: how many files hold no rule.
    """

    rules: tuple[ImportedRule, ...]
    writes: Mapping[str, str]
    others: int = 0


@dataclass(slots=True)
class _Known:
    """The rules that are there: id → place, and what stands in it."""

    places: dict[str, str] = field(default_factory=dict)
    contents: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, set[str]] = field(default_factory=dict)

    def take(self, file: RuleFile) -> None:
        self.ids.setdefault(file.path, set())
        for document in _rules_in(file):
            identity = _identity(document)
            self.places[identity], self.contents[identity] = file.path, document.data
            self.ids[file.path].add(identity)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What rules run with where they are imported.

    Args:
        rules: the rule files that are read beside those of the target folder; correlations may refer to their rules.
        pipelines: pySigma pipelines.
        placeholders: values for `expand`.
    """

    rules: Sequence[RuleFile] = ()
    pipelines: Sequence[RuleFile] = ()
    placeholders: Mapping[str, Sequence[str]] = field(default_factory=dict)


def plan_import(
    bundle: Sequence[RuleFile],
    existing: Sequence[RuleFile],
    licences: Sequence[str],
    surroundings: Surroundings | None = None,
) -> ImportPlan:
    """Compare a bundle with what is there.

    Args:
        bundle: its rule files, named as in the bundle.
        existing: the rule files below the target folder, named as below it.
        licences: names of the licence files of the bundle.
        surroundings: what its rules will run with.

    Raises:
        ContentError: a pipeline cannot be read.
    """
    known = _Known()
    for file in existing:
        known.take(file)
    problems = _problems(bundle, existing, surroundings or Surroundings())
    rules: list[ImportedRule] = []
    writes: dict[str, str] = {}
    others = 0
    for file in bundle:
        found = list(_compared(file, known, problems, licences))
        rules += found
        others += not found
        if any(rule.change in {NEW, CHANGED} for rule in found):
            writes[_place(file, found, known, writes)] = file.path
    return ImportPlan(tuple(rules), writes, others)


def _problems(
    bundle: Sequence[RuleFile], existing: Sequence[RuleFile], surroundings: Surroundings
) -> dict[str, list[RuleProblem]]:
    """Return what is wrong with the bundle's files, beside the rules that are there and stay."""
    mark = "bundle/"
    coming = {_identity(document) for file in bundle for document in _rules_in(file)}
    marked = [RuleFile(mark + file.path, file.text) for file in bundle]
    kept = [
        RuleFile("folder/" + file.path, file.text)
        for file in existing
        if not coming.issuperset(map(_identity, _rules_in(file)))
    ]
    found: dict[str, list[RuleProblem]] = {}
    beside = [RuleFile("beside/" + file.path, file.text) for file in surroundings.rules]
    loaded = load_rules(
        [*beside, *kept, *marked], pipelines=surroundings.pipelines, placeholders=surroundings.placeholders
    )
    for problem in loaded.problems:
        if problem.path.startswith(mark):
            found.setdefault(problem.path.removeprefix(mark), []).append(problem)
    return found


def _compared(
    file: RuleFile, known: _Known, problems: Mapping[str, list[RuleProblem]], licences: Sequence[str]
) -> Iterator[ImportedRule]:
    wrong = problems.get(file.path, [])
    documents_in = list(_rules_in(file))
    for number, document in enumerate(documents_in):
        end = documents_in[number + 1].line if number + 1 < len(documents_in) else None
        reason = next((_reason(one) for one in wrong if _is_about(one, document, end)), "")
        yield ImportedRule(
            path=file.path,
            rule_id=_text(document.data, "id"),
            name=_text(document.data, "title"),
            change=_change(document, known) if not reason else UNSUPPORTED,
            reason=reason,
            author=_text(document.data, "author"),
            licence=_text(document.data, "license") or _licence_above(file.path, licences),
            level=_text(document.data, "level"),
        )
    if not documents_in and wrong and _looks_like_rules(file.text):
        yield ImportedRule(file.path, "", "", UNSUPPORTED, _reason(wrong[0]))


def _is_about(problem: RuleProblem, document: YamlDocument, end: int | None) -> bool:
    """Tell whether a problem is one of this document: by its id, else by its line."""
    identity = _text(document.data, "id")
    if problem.rule_id and identity:
        return problem.rule_id == identity
    return document.line <= problem.line and (end is None or problem.line < end)


def _change(document: YamlDocument, known: _Known) -> str:
    identity = _identity(document)
    if identity not in known.contents:
        return NEW
    return SAME if known.contents[identity] == document.data else CHANGED


def _place(file: RuleFile, found: Iterable[ImportedRule], known: _Known, taken: Container[str]) -> str:
    """Return where a file goes: over the one that holds the same rules, wherever that is, else as in the bundle.

    Never over another file's rules, or over what is no rule: those would be gone without a word.
    """
    ids = {rule.rule_id or f"{rule.path}:{rule.name}" for rule in found}
    places = {known.places[identity] for identity in ids if identity in known.places}
    if len(places) == 1:
        (place,) = places
        if known.ids[place] <= ids and place not in taken:
            return place
    place, number = file.path, 1
    while place in taken or (place in known.ids and not set() < known.ids[place] <= ids):
        number += 1
        stem, dot, suffix = file.path.rpartition(".")
        place = f"{stem}-{number}{dot}{suffix}"
    return place


def _rules_in(file: RuleFile) -> Iterator[YamlDocument]:
    """Yield the rules, correlations and filters of a file; nothing where it is no YAML that can be read."""
    try:
        for document in assembled(documents(file.path, file.text)):
            if isinstance(document.data, dict) and not {"detection", "correlation", "filter"}.isdisjoint(document.data):
                yield document
    except ContentError:
        return


def _looks_like_rules(text: str) -> bool:
    return "\ndetection:" in text or "\ncorrelation:" in text


def _identity(document: YamlDocument) -> str:
    return _text(document.data, "id") or f"{document.path}:{_text(document.data, 'title')}"


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _reason(problem: RuleProblem) -> str:
    return problem.text.partition("/")[2] if "/" in problem.text.partition(":")[0] else problem.text


def _licence_above(path: str, licences: Sequence[str]) -> str:
    """Return the nearest licence file in a folder above a rule."""
    above = [name for name in licences if path.startswith("".join(name.rpartition("/")[:2]))]
    return max(above, key=lambda name: name.count("/"), default="")
