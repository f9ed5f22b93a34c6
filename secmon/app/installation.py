"""What every use case works with: ports, content and registers of one installation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from secmon.app.standing import Standing
from secmon.model.access import Access
from secmon.model.asset import AssetRegister
from secmon.model.cache import Memory
from secmon.model.calendar import Calendar
from secmon.model.unit import UnitTree
from secmon.pipeline import Stages
from secmon.ports import Clock, EventLog, Records, Renderer, Signer, Spool, Vault
from secmon.sigma.rule import RuleSet

if TYPE_CHECKING:
    from secmon.model.patterns import Compiler, Patterns

REMEMBERED_BYTES = 64 << 20
"""For what `app.novelty` need not ask the store again."""


def lazily_compiled(patterns: "Patterns") -> Any:
    """Make a database of patterns (`model.patterns.compiled`); listings import no Hyperscan."""
    from secmon.model.patterns import compiled  # noqa: PLC0415  lazily: see above

    return compiled(patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One configured source.

    Args:
        name: its id.
        kind: kind of its records.
        zone: time zone of its clock.
        asset: asset of its events where the register cannot tell.
        unit: unit of its events likewise.
        silent_after: how long it may send nothing.
    """

    name: str
    kind: str
    zone: tzinfo
    asset: str = ""
    unit: str = ""
    silent_after: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Everything a use case may touch, chosen by `wiring`.

    Args:
        schema: version of the form in which the store holds what it holds.
        retention_ceilings: retention class → most days that it is kept.
        calendar: what baselines compare by.
        remembered: what `app.novelty` need not ask the store again; of this process, and may be lost at any time.
        noted: what `app.fields_seen` knows to be kept of a source's day, by source; likewise.
        standing: windows of correlations as the last tick left them; likewise.
        class_names: class of personal data → its Chinese name, for documents and the console.
        anchor: keeps the audit head outside the store, so that a truncated chain shows.
        signer: signs the seals of the coverage ledger; without it days are not sealed.
        anchor_coverage: keeps the head of the coverage ledger outside the store likewise.
        max_skew: how far the clock of a source may be off.
        aside: does a read-only operation (`app.operations`) in another process, so that it never holds up ingest;
            None does it here.
        admit: makes sure that the store is there and is the one of our keys; raises what is wrong. Whoever opened it
            patiently calls this before anything is written.
        spool: where records are put by while the store is away; None: they wait in their sources.
        is_shared: whether other daemons may work on the same store (a cluster); an embedded one has one writer.
        compiler: makes pattern databases of rules within limits, for whatever tries rules.
        rule_text: path of a rule in force, or of the tests beside it → the file's text; "" if it cannot be read.
        problems: what is wrong with content and registers, as "place: problem (remedy)".
    """

    log: EventLog
    records: Records
    vault: Vault
    clock: Clock
    stages: Stages
    ruleset: RuleSet
    tree: UnitTree
    register: AssetRegister
    zone: tzinfo
    retention_days: int
    schema: int = 0
    retention_ceilings: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    renderers: Mapping[str, Renderer] = field(default_factory=dict)
    framework_texts: tuple[tuple[str, str], ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    remembered: Memory[str, tuple[datetime, datetime]] = field(default_factory=lambda: Memory(REMEMBERED_BYTES))
    noted: dict[str, Any] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)
    class_names: Mapping[str, str] = field(default_factory=dict)
    anchor: Callable[[str], None] = lambda _head: None
    signer: Signer | None = None
    anchor_coverage: Callable[[str], None] = lambda _head: None
    max_skew: timedelta = timedelta(minutes=5)
    aside: Callable[[str, Access, dict[str, Any]], Any] | None = None
    admit: Callable[[], None] = lambda: None
    spool: Spool | None = None
    is_shared: bool = False
    compiler: "Compiler" = lazily_compiled
    rule_text: Callable[[str], str] = lambda _path: ""
    problems: tuple[str, ...] = ()
