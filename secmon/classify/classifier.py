"""Events in, masked events and findings out.

Masking comes before storage and detection: rules, evidence and reports all see the same masked event. A value that
was found in one field is masked in every field in which it stands, however it is escaped there.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import numpy as np
import orjson

from secmon.classify.definition import Definition, Policy
from secmon.classify.detector import ALL_CLASSES, Detector, Match
from secmon.classify.keys import last_name
from secmon.classify.mask import checked_policy, masked_value, replacement
from secmon.classify.prefilter import Prefilter
from secmon.classify.spread import Spans, spread
from secmon.model.event import Event, Scalar, Value
from secmon.model.hit import Finding, Minor

# Our own facts about the event; nothing out of the record stands in them.
_OWN_FIELDS = frozenset(
    {
        "@timestamp", "ecs.version", "event.id", "event.hash", "event.ingested", "event.kind", "event.category",
        "event.type", "event.dataset", "event.module", "unit.id", "asset.id",
    }
)  # fmt: skip
_OWN_PREFIXES = ("data.", "secmon.")
# Fields that repeat what stands elsewhere, the least specific last: a finding names the first place of all.
_COPIES = {
    name: rank
    for rank, name in enumerate(("url.full", "url.original", "http.request.referrer", "message", "event.original"), 1)
}
# Numbers below this cannot be anybody's number; counters and ports are passed over.
_LEAST_NUMBER = 10**9
_TOKEN_DIGITS = 32
_FOURTEEN, _EIGHTEEN = 14, 18


class Classifier:
    """Classifies and masks. Holds a Hyperscan scratch: one per process.

    Args:
        definitions: the classes.
        token_key: key of tokens and digests; it outlives retention, so that tokens stay comparable.
        policy: class id → "partial", "token", "drop" or "keep"; classes not named follow their file.
        today: for birth dates and ages.

    Raises:
        ConfigError: the policy names no known class or an unknown policy.
    """

    def __init__(
        self,
        definitions: Sequence[Definition],
        *,
        token_key: bytes,
        policy: Mapping[str, str] | None = None,
        today: date,
    ) -> None:
        self.detector = Detector(definitions, today=today)
        self.prefilter = Prefilter(definitions)
        self._token_key = token_key
        self._today = today
        self._policy: dict[str, Policy] = {one.id: one.mask.default for one in definitions}
        for name, value in (policy or {}).items():
            self._policy[name] = checked_policy(name, value)

    def classify_events(self, events: Sequence[Event]) -> list[tuple[Event, list[Finding]]]:
        """Return each event, masked, with its findings; an event without findings is the very same object."""
        results: list[tuple[Event, list[Finding]]] = [(event, []) for event in events]
        for index, classes in self._candidates(events).items():
            results[index] = self.classify_event(events[index], classes=classes)
        return results

    def classify_event(self, event: Event, *, classes: int = ALL_CLASSES) -> tuple[Event, list[Finding]]:
        """Classify one event in full detail; `classify_events` gives the same, faster."""
        matches = {
            name: [
                self.detector.find(text, key=last_name(name), classes=classes, is_number=is_number)
                for text, is_number in texts
            ]
            for name, texts in _texts(event)
        }
        best = self._best(matches)
        if not best:
            return event, []
        findings = [self.finding(match, path=path) for path, match in best]
        return self._masked_event(event, matches, findings, [match for _, match in best]), findings

    def mask_text(self, text: str) -> str:
        """Mask one text by the same policy, for dead letters and messages."""
        matches = self.detector.find(text)
        return self._replaced(text, spread(text, matches, [one for one in matches if self.is_masked(one.definition)]))

    def is_masked(self, definition: Definition) -> bool:
        """Tell whether the policy hides values of this class."""
        return self._policy[definition.id] != "keep"

    def token(self, value: str) -> str:
        """Return the keyed token of a value in normal form: 32 hex digits of HMAC-SHA-256."""
        return hmac.digest(self._token_key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[
            :_TOKEN_DIGITS
        ]

    def finding(self, match: Match, *, path: str, span: tuple[int, int] | None = None) -> Finding:
        """Return the finding of a match: everything but the raw value."""
        return Finding(
            data_class=match.definition.id,
            level=match.definition.level,
            candidate=match.definition.is_candidate,
            minor=age_group(match.born, self._today),
            path=path,
            span=span,
            confidence=match.confidence,
            masked=masked_value(match.definition, match.value),
            digest=self.token(match.value),
            trace=match.trace,
        )

    def _candidates(self, events: Sequence[Event]) -> dict[int, int]:
        """Return event index → bits of the classes that may stand in it."""
        bodies: list[bytes] = []
        found: dict[int, int] = {}
        for index, event in enumerate(events):
            try:
                bodies.append(orjson.dumps(event))
            except TypeError:  # a lone surrogate or a number beyond 64 bits: look at it in detail
                bodies.append(b"")
                found[index] = ALL_CLASSES
        offsets, bits = self.prefilter.places(b"\n".join(bodies))
        if offsets.size:
            ends = np.cumsum([len(body) + 1 for body in bodies])
            for index, bit in zip(np.searchsorted(ends, offsets, side="right").tolist(), bits.tolist(), strict=True):
                found[index] = found.get(index, 0) | bit
        return found

    def _best(self, matches: Mapping[str, list[list[Match]]]) -> list[tuple[str, Match]]:
        """Return each value once, with the most specific place where it stands."""
        best: dict[tuple[str, str], tuple[int, str, Match]] = {}
        for name, lists in matches.items():
            for match in (one for found in lists for one in found):
                rank = _COPIES.get(name, 0)
                known = best.get((match.definition.id, match.value))
                if known is None or (rank, -match.confidence) < (known[0], -known[2].confidence):
                    path = f"{name}:{match.key}" if match.key else name
                    best[match.definition.id, match.value] = (rank, path, match)
        return [(path, match) for _, path, match in best.values()]

    def _masked_event(
        self, event: Event, matches: Mapping[str, list[list[Match]]], findings: list[Finding], best: list[Match]
    ) -> Event:
        hidden = [match for match in best if self.is_masked(match.definition)]
        masked: Event = dict(event)
        if hidden:
            for name, value in event.items():
                if not _is_own(name):
                    masked[name] = self._masked_field(value, matches.get(name, []), hidden)
        masked["data.classes"] = sorted({one.data_class for one in findings})
        masked["data.level"] = max(one.level for one in findings)
        minors = sorted({str(one.minor) for one in findings if one.minor is not Minor.UNKNOWN})
        if minors:
            masked["data.minor"] = minors
        tokens: dict[str, list[str]] = {}
        for match in hidden:
            tokens.setdefault(f"data.token.{match.definition.id}", []).append(self.token(match.value))
        masked.update((name, sorted(found)) for name, found in tokens.items())
        return masked

    def _masked_field(self, value: Value, matches: list[list[Match]], hidden: list[Match]) -> Value:
        """Mask one field; a number that had to be masked becomes text."""
        items: list[Scalar] = [*value] if isinstance(value, list) else [value]
        found = iter(matches)
        changed: list[Scalar] = []
        for item in items:
            if not _is_text(item):
                changed.append(item)
                continue
            text = str(item)
            masked = self._replaced(text, spread(text, next(found, []), hidden))
            changed.append(item if masked == text else masked)
        return changed if isinstance(value, list) else changed[0]

    def _replaced(self, text: str, spans: Spans) -> str:
        parts: list[str] = []
        end = 0
        for start, stop, match in spans:
            definition = match.definition
            policy = self._policy[definition.id]
            parts.append(text[end:start])
            parts.append(
                replacement(definition, policy, match.value, self.token(match.value) if policy == "token" else "")
            )
            end = stop
        return "".join([*parts, text[end:]]) if parts else text


def age_group(born: date | None, today: date) -> Minor:
    """Return the age group of somebody born on a day; under 14 and under 18 are the law's limits."""
    if born is None:
        return Minor.UNKNOWN
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if age < _FOURTEEN:
        return Minor.UNDER_14
    return Minor.UNDER_18 if age < _EIGHTEEN else Minor.ADULT


def _is_own(name: str) -> bool:
    return name in _OWN_FIELDS or name.startswith(_OWN_PREFIXES)


def _is_text(value: Scalar) -> bool:
    """Tell whether a value can hold personal data: a text, or a whole number as long as a telephone number."""
    return isinstance(value, str) or (type(value) is int and value >= _LEAST_NUMBER)


def _texts(event: Event) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
    """Yield each field's texts, and for each whether it is a number."""
    for name, value in event.items():
        if _is_own(name):
            continue
        items: list[Scalar] = [*value] if isinstance(value, list) else [value]
        texts = [(str(item), not isinstance(item, str)) for item in items if _is_text(item)]
        if texts:
            yield name, texts
