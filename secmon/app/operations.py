"""What commands ask for, by name: the same table serves a command that works itself and the daemon's socket.

Arguments and results are plain JSON, so that both ways give the same answer. An operation that writes is done by the
one writer: the daemon while it runs, else the command under the writer lock. A use case is imported only when it is
asked for: a command that lists alerts need not wait for what reports import.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from secmon.app.installation import Installation
from secmon.model.access import Access

Arguments = dict[str, Any]
Run = Callable[[Installation, Access, Arguments], Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a command may ask for.

    Args:
        target: "module:function" of `secmon.app` that does it; plain JSON in and out.
        writes: only the writer may do it.
        content: it needs rules and classifiers loaded.
    """

    target: str
    writes: bool = False
    content: bool = False

    def run(self, house: Installation, access: Access, args: Arguments) -> Any:
        """Do it."""
        module, _, function = self.target.partition(":")
        run: Run = getattr(importlib.import_module(f"secmon.app.{module}"), function)
        return run(house, access, args)


OPERATIONS: Mapping[str, Operation] = {
    "alerts.list": Operation("alerts:run_list"),
    "alerts.show": Operation("alerts:run_show"),
    "alerts.act": Operation("alerts:run_act", writes=True),
    # Who searched stands in the audit chain, so the first part writes; the second one may be interrupted at any time.
    "search.begin": Operation("search:run_begin", writes=True),
    "search.run": Operation("search:run_search"),
    # Likewise; the rules are tried by whoever asked, who reads the store.
    "rules.backtest": Operation("backtest:note", writes=True),
    "rules.scorecard": Operation("scorecard:run", content=True),
    "rules.baselines": Operation("baselines:run_status", content=True),
    "sources.list": Operation("accounts:run_list"),
    "sources.show": Operation("accounts:run_show"),
    "coverage.rows": Operation("coverage:run_rows"),
    "coverage.windows": Operation("coverage:run_windows"),
    "coverage.verify": Operation("coverage_proof:run_verify"),
    "coverage.export": Operation("coverage_proof:run_export"),
    "deadletters.list": Operation("deadletters:run_list"),
    "deadletters.show": Operation("deadletters:run_show"),
    "deadletters.replay": Operation("deadletters:run_replay", writes=True, content=True),
    "deadletters.drop": Operation("deadletters:run_drop", writes=True),
    "tuning.list": Operation("tuning:run_list", content=True),
    "tuning.show": Operation("tuning:run_show", content=True),
    "tuning.hits": Operation("tuning:run_hits", content=True),
    "tuning.draft": Operation("tuning_draft:run", content=True),
    "store.digest": Operation("integrity:run_digest"),
    "store.check": Operation("integrity:run_check"),
    "store.retention": Operation("retention:run_review"),
    "store.confirm_clock": Operation("retention:run_confirm", writes=True),
    # It keeps what it assessed with the evidence, which outlives the events.
    "report.mlps": Operation("reports:run", writes=True, content=True),
    "report.assess": Operation("reports:run_assess", content=True),
    "report.render": Operation("reports:run_render"),
    "bulletin.draft": Operation("bulletins:run_draft", writes=True, content=True),
    "bulletin.show": Operation("bulletins:run_show"),
    "bulletin.render": Operation("bulletins:run_render"),
}
