"""Events in, masked events and findings out.

Masking comes before storage and detection: rules, evidence and reports all see the same masked event. A value that
was found in one field is masked in every field in which it stands, however it is escaped there.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import date

from secmon.classify.batch import Wanted, candidates
from secmon.classify.definition import Definition, Policy
from secmon.classify.detector import ALL_CLASSES, Detector, Match
from secmon.classify.fields import Fields, Item, text_fields, with_texts
from secmon.classify.keys import last_name
from secmon.classify.mask import checked_policy, masked_value, replacement
from secmon.classify.prefilter import Prefilter
from secmon.classify.spread import Spans, spread
from secmon.classify.views import views
from secmon.errors import ConfigError
from secmon.model.event import Event
from secmon.model.hit import Finding, Minor
from secmon.model.patterns import Compiler, compiled

# Fields that repeat what stands elsewhere, the least specific last: a finding names the first place of all.
_COPIES = {
    name: rank
    for rank, name in enumerate(
        (
            "secmon.url.path",
            "secmon.url.decoded",
            "url.full",
            "url.original",
            "http.request.referrer",
            "message",
            "event.original",
        ),
        1,
    )
}
_TOKEN_DIGITS = 32
_FOURTEEN, _EIGHTEEN = 14, 18


class Classifier:
    """Classifies and masks. Holds a Hyperscan scratch: one per process.

    Args:
        definitions: the classes.
        token_key: key of tokens and digests; it outlives retention, so that tokens stay comparable.
        policy: class id → "partial", "token", "drop" or "keep"; classes not named follow their file.
        today: for birth dates and ages.
        compiler: makes the prefilter's database.

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
        compiler: Compiler = compiled,
    ) -> None:
        self.detector = Detector(definitions, today=today)
        self.prefilter = Prefilter(definitions, compiler)
        self._token_key = token_key
        self._today = today
        self._policy: dict[str, Policy] = {one.id: one.mask.default for one in definitions}
        for name, value in (policy or {}).items():
            if name not in self._policy:
                raise ConfigError("mask.{name}: no such class", values={"name": name})
            self._policy[name] = checked_policy(name, value)

    def classify_events(self, events: Sequence[Event]) -> list[tuple[Event, list[Finding]]]:
        """Return each event, masked, with its findings; an event without findings is the very same object."""
        results: list[tuple[Event, list[Finding]]] = [(event, []) for event in events]
        for index, wanted in candidates(self.prefilter, events).items():
            results[index] = self.classify_event(events[index], wanted=wanted)
        return results

    def classify_event(self, event: Event, *, wanted: Wanted | None = None) -> tuple[Event, list[Finding]]:
        """Classify one event; `classify_events` gives the same, faster.

        Args:
            event: the event.
            wanted: field → bits of the classes that may stand in it; None: every class in every field.
        """
        fields = text_fields(event)
        matches = {name: self._matches(name, items, wanted) for name, items in fields.items()}
        best = self._best(matches)
        if not best:
            return event, []
        findings = [self.finding(match, path=path) for path, match in best]
        masked = self._masked_event(event, fields, matches, [match for _, match in best])
        masked.update(_facts(findings))
        return masked, findings

    def _matches(self, name: str, items: Sequence[Item], wanted: Wanted | None) -> list[list[Match]]:
        classes = ALL_CLASSES if wanted is None else wanted.get(name, 0)
        if not classes:
            return [[] for _ in items]
        key = last_name(name)
        return [self.detector.find(item.views, key=key, classes=classes, is_number=item.is_number) for item in items]

    def mask_text(self, text: str) -> str:
        """Mask one text by the same policy, for dead letters and messages."""
        seen = views(text)
        matches = self.detector.find(seen)
        return self._replaced(text, spread(seen, matches, [one for one in matches if self.is_masked(one.definition)]))

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
        self, event: Event, fields: Fields, matches: Mapping[str, list[list[Match]]], best: list[Match]
    ) -> Event:
        """Return a copy with every hidden value masked wherever it stands, and the tokens of the hidden values."""
        hidden = [match for match in best if self.is_masked(match.definition)]
        masked: Event = dict(event)
        if not hidden:
            return masked
        for name, items in fields.items():
            texts = [
                self._replaced(item.text, spread(item.views, found, hidden))
                for item, found in zip(items, matches[name], strict=True)
            ]
            masked[name] = with_texts(event[name], items, texts)
        tokens: dict[str, list[str]] = {}
        for match in hidden:
            tokens.setdefault(f"data.token.{match.definition.id}", []).append(self.token(match.value))
        masked.update((name, sorted(found)) for name, found in tokens.items())
        return masked

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


def _facts(findings: Sequence[Finding]) -> Event:
    """Return the `data.*` fields that say what was found."""
    facts: Event = {
        "data.classes": sorted({one.data_class for one in findings}),
        "data.level": max(one.level for one in findings),
    }
    minors = sorted({str(one.minor) for one in findings if one.minor is not Minor.UNKNOWN})
    if minors:
        facts["data.minor"] = minors
    return facts
