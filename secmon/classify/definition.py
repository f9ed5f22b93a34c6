"""Classifier files: YAML text to checked definitions, or errors with path and line.

Format: docs/classifiers.md. A broken file is reported and never stops the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import re2

from secmon.classify.document import Document, read_document
from secmon.classify.validators import VALIDATORS
from secmon.errors import ContentError

Policy = Literal["partial", "token", "drop", "keep"]
Form = Literal["ends", "email", "name", "address", "whole"]

POLICIES: tuple[Policy, ...] = get_args(Policy)
LEVELS = ("L1", "L2", "L3", "L4", "L5")
# JY/T 0661-2025: L4 (important) and L5 (core) are for the competent authority to decide, a machine only proposes.
CANDIDATE_LEVELS = ("L4", "L5")
MARKS = ("V", "V2", "G", "P")
_MAX_WINDOW = 200
_MAX_KEYS = 200
_MAX_PATTERN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How confidence adds up: prior + validator × strength + key + negative, limited to 0 … 1."""

    prior: float
    validator: float = 0.0
    key: float = 0.0
    negative: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """How a value looks after masking.

    Args:
        form: which partial form; "ends" keeps the first `keep_start` and the last `keep_end` characters.
        default: what happens unless the operator's policy says otherwise.
    """

    form: Form
    keep_start: int = 0
    keep_end: int = 0
    default: Policy = "partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One class of data and how to recognise it.

    Args:
        id: class id, such as "cn_id18".
        standard: standard that defines the form, empty if none.
        mark: how sure its facts are: V, V2, G or P (docs/classifiers.md).
        level: "L1" … "L5" of JY/T 0661-2025.
        national: level of GB/T 43697-2024.
        digits: lengths of the digit runs that can be one; empty if `pattern` says it.
        pattern: RE2 pattern of the value, or empty.
        hint: a cheap pattern of which every value has a part, for the prefilter; empty: the pattern itself.
        after_key: the value counts only right behind one of the keys.
        case: normal form of its letters: "upper", "lower" or empty.
        validator: name in `VALIDATORS`, or empty.
        keys: names that stand before such a value, in normal form (`keys.normal_key`) or with Han characters.
        negative_keys: names that say it is something else.
        window: how many characters before the value are searched for keys.
        required: without a key it is not reported.
        has_birth_date: the validator's verdict carries a birth date.
        matching: texts that must be recognised.
        not_matching: texts in which nothing of this class may be found.
        path: the file it came from.
    """

    id: str
    name_zh: str
    name_en: str
    standard: str
    mark: str
    level: str
    national: str
    digits: tuple[int, ...]
    pattern: str
    hint: str
    after_key: bool
    case: str
    validator: str
    keys: tuple[str, ...]
    negative_keys: tuple[str, ...]
    window: int
    required: bool
    weights: Weights
    has_birth_date: bool
    mask: Mask
    matching: tuple[str, ...]
    not_matching: tuple[str, ...]
    path: str

    @property
    def is_candidate(self) -> bool:
        """Whether only the competent authority can confirm the level (候选)."""
        return self.level in CANDIDATE_LEVELS


def load_definitions(files: Sequence[tuple[str, str]]) -> tuple[tuple[Definition, ...], list[ContentError]]:
    """Check classifier files.

    Args:
        files: (path, YAML text); a later file replaces an earlier one with the same id (operator's overlay).

    Returns:
        The good definitions sorted by id, and one error for each broken file.
    """
    good: dict[str, Definition] = {}
    errors: list[ContentError] = []
    for path, text in files:
        try:
            definition = _definition(read_document(path, text))
        except ContentError as error:
            errors.append(error)
        else:
            good[definition.id] = definition
    return tuple(good[name] for name in sorted(good)), errors


_SECTIONS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    # place, required keys, further keys
    ("", ("id", "name", "source", "level", "match", "confidence", "mask", "tests"), ("validator", "context", "minor")),
    ("name", ("zh", "en"), ()),
    ("source", ("confidence",), ("standard", "note")),
    ("level", ("edu", "national"), ()),
    ("match", (), ("digits", "pattern", "hint", "after_key", "case")),
    ("context", (), ("keys", "window_chars", "negative_keys", "required")),
    ("confidence", ("prior",), ("validator", "key", "negative")),
    ("mask", ("partial", "default"), ()),
    ("mask.partial", (), ("form", "keep_start", "keep_end")),
    ("tests", ("match", "no_match"), ()),
)


def _definition(document: Document) -> Definition:
    for place, required, further in _SECTIONS:
        document.mapping(place, required=required)
        document.refuse_unknown(place, (*required, *further))
    digits, pattern, after_key = _match(document)
    definition = Definition(
        id=document.text("id", pattern=r"[a-z][a-z0-9_]{1,40}"),
        name_zh=document.text("name.zh"),
        name_en=document.text("name.en"),
        standard=document.text("source.standard", default=""),
        mark=document.choice("source.confidence", MARKS),
        level=document.choice("level.edu", LEVELS),
        national=document.choice("level.national", ("一般", "重要", "核心")),
        digits=digits,
        pattern=pattern,
        hint=_hint(document),
        after_key=after_key,
        case=document.choice("match.case", ("", "upper", "lower"), default=""),
        validator=document.choice("validator", ("", *VALIDATORS), default=""),
        keys=document.texts("context.keys", most=_MAX_KEYS),
        negative_keys=document.texts("context.negative_keys", most=_MAX_KEYS),
        window=document.integer("context.window_chars", 0, _MAX_WINDOW, default=0),
        required=document.flag("context.required"),
        weights=_weights(document),
        has_birth_date=document.choice("minor", ("", "birth_date"), default="") == "birth_date",
        mask=_mask(document),
        matching=document.texts("tests.match"),
        not_matching=document.texts("tests.no_match"),
        path=document.path,
    )
    if (definition.required or definition.after_key) and not definition.keys:
        raise document.error("context", "a class that needs a key has no keys", hint="list them under context.keys")
    if not definition.matching or not definition.not_matching:
        raise document.error("tests", "at least one text under match and one under no_match are needed")
    return definition


def _match(document: Document) -> tuple[tuple[int, ...], str, bool]:
    """Read what the value looks like; patterns are held to RE2, so no text can make them slow."""
    digits = document.integers("match.digits", 10, 19)
    pattern = document.text("match.pattern", default="")
    after_key = document.flag("match.after_key")
    if bool(digits) == bool(pattern):
        raise document.error("match", "either digits or pattern is needed, not both")
    if after_key and not pattern:
        raise document.error("match", "after_key needs a pattern")
    if pattern:
        _check_pattern(document, pattern, needs_ascii=not after_key)
    return digits, pattern, after_key


def _hint(document: Document) -> str:
    hint = document.text("match.hint", default="")
    if hint:
        _check_pattern(document, hint, place="match.hint", needs_ascii=True)
    return hint


def _check_pattern(document: Document, pattern: str, *, place: str = "match.pattern", needs_ascii: bool) -> None:
    if len(pattern) > _MAX_PATTERN:
        raise document.error(place, "the pattern is too long")
    if needs_ascii and not pattern.isascii():
        # Patterns that are searched everywhere run over bytes, where a Han character is three of them.
        raise document.error(place, "only ASCII is possible here", hint="or set match.after_key")
    if any(part in pattern for part in (r"\b", r"\B", r"\w", r"\W")):
        raise document.error(place, r"\b and \w are not allowed", hint="boundaries are checked by the engine")
    try:
        compiled = re2.compile(pattern)
    except re2.error as error:
        raise document.error(place, "RE2 refuses the pattern") from error
    if compiled.fullmatch("") is not None:
        raise document.error(place, "the pattern matches empty text")


def _weights(document: Document) -> Weights:
    return Weights(
        prior=document.number("confidence.prior", 0, 1),
        validator=document.number("confidence.validator", 0, 1, default=0),
        key=document.number("confidence.key", 0, 1, default=0),
        negative=document.number("confidence.negative", -1, 0, default=0),
    )


def _mask(document: Document) -> Mask:
    forms: tuple[Form, ...] = get_args(Form)
    return Mask(
        form=document.choice("mask.partial.form", forms, default="ends"),
        keep_start=document.integer("mask.partial.keep_start", 0, 10, default=0),
        keep_end=document.integer("mask.partial.keep_end", 0, 10, default=0),
        default=document.choice("mask.default", POLICIES),
    )
