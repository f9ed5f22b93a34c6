"""Hits and findings: the two kinds of facts that detection and classification add to an event."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from secmon.model.event import Value


class Level(StrEnum):
    """Sigma's levels, in rising order."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for informational … 4 for critical."""
        return _RANKS[self]


_RANKS = {level: rank for rank, level in enumerate(Level)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One rule matched one event. Its identity is (event id, rule id).

    Args:
        event_id: 32 hex digits.
        rule_id: UUID of the rule.
        rule_digest: digest of the compiled rule at that moment; a field, not part of the identity.
        level: the rule's level.
        at: the event's `@timestamp`.
        alert_id: the alert it belongs to; None if the rule makes no alert of its own (`generate: false`).
        group: the alert's group key.
        keys: `ids.key_id` of every correlation rule and group value that this hit counts towards.
        captured: values that correlations and the alert's reason need, of the masked event.
        signature: 16 hex over the values of the fields the rule looked at; two hits with the same signature
            show an operator the same thing (design rule of reopening).
        unit_id: leaf unit of the event, None if unmapped.
        asset_id: asset of the event, None if unmapped.
        suppressed_by: id of the exception, disabled rule or maintenance window that covers it; None if nothing does.
            A suppressed hit is stored and found like any other, but raises no alert and counts for no correlation.
    """

    event_id: str
    rule_id: str
    rule_digest: str
    level: Level
    at: datetime
    alert_id: str | None = None
    group: dict[str, Value] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    captured: dict[str, Value] = field(default_factory=dict)
    signature: str = ""
    unit_id: str | None = None
    asset_id: str | None = None
    suppressed_by: str | None = None


class Minor(StrEnum):
    """Age of the person a finding is about; under 14 makes it sensitive (个人信息保护法 第二十八条)."""

    UNDER_14 = "under_14"
    UNDER_18 = "under_18"
    ADULT = "adult"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The classifier's result for one place. It never holds the raw value.

    Args:
        data_class: id of the classifier file, such as "cn_id18".
        level: "L1" … "L5" (JY/T 0661-2025).
        candidate: True for L4/L5, which only the competent authority can confirm (候选).
        minor: age group, where the value tells it.
        path: field of the event, JSON path, "column:NAME", or empty for plain text.
        span: byte offsets in the scanned text, end exclusive; None where they would mean nothing.
        confidence: 0 … 1.
        masked: the value in its masked form.
        digest: 32 hex of HMAC-SHA-256 over the normalised value under the token key.
        trace: why, such as ("validator:cn_id18", "key:sfzh").
    """

    data_class: str
    level: str
    candidate: bool
    minor: Minor
    path: str
    span: tuple[int, int] | None
    confidence: float
    masked: str
    digest: str
    trace: tuple[str, ...]
