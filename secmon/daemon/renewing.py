"""Rules, exceptions, lists, intelligence and calendar that take effect while the daemon runs.

Asked by a command, by SIGHUP, or because the files changed (two equal looks in a row, so that no half copied folder is
taken), one thread at a time reads the files, has them tried in a process of its own, prepares stages and workers of
them beside those in force, and then puts a new desk in the place of the old one. Whoever reads looks between two
batches which desk it is: each batch meets exactly one rule set, and names it.
"""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import structlog

from secmon.app import audit, rulebook
from secmon.app.installation import REMEMBERED_BYTES
from secmon.app.work import Desk, InlineWork, Work
from secmon.config import Settings
from secmon.daemon.health import Check
from secmon.daemon.jobs import Jobs
from secmon.daemon.memory import give_back
from secmon.daemon.trying import tried_apart
from secmon.daemon.workers import PoolWork, close, pool_of, retire
from secmon.errors import ContentError, SecmonError, StoreError, StoreUnavailableError
from secmon.model.access import Access, job_access
from secmon.model.cache import Memory
from secmon.model.event import format_time
from secmon.pipeline import Stages
from secmon.sigma.changes import Change, changes
from secmon.wiring import Texts, content_fields, load_content, load_keys
from secmon.wiring.renewing import Sighting, Trial, Verdict, broken_in, look, mended, read_steady, require_places

RETRY_S = 10.0
"""How long after the store was away what was asked for is tried again."""
OPERATION = "rules.reload"
REFUSED = "rules.reload_refused"
_REMEDY = "what was refused counts as it was before, until it is corrected"
Cause = Literal["command", "signal", "files"]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """Which rules apply, and what became of the last attempt to change them.

    Args:
        digest: of the rule set.
        since: when it took effect here: at the start, or by a reload.
        refused: why files were refused, as "place: problem (remedy)"; empty if none was.
        refused_at: when; None if none was.
        counts: how many reloads ended as "changed", "unchanged" and "refused" since the start.
    """

    digest: str
    since: datetime
    refused: tuple[str, ...] = ()
    refused_at: datetime | None = None
    counts: Counter[str]

    def row(self) -> dict[str, Any]:
        """Return it as JSON."""
        row: dict[str, Any] = {"digest": self.digest, "since": format_time(self.since)}
        if self.refused_at is not None:
            row |= {"refused": list(self.refused), "refused_at": format_time(self.refused_at)}
        return row


class Renewal(threading.Thread):
    """Reloads until it is told to stop.

    Args:
        settings: the daemon's settings.
        texts: what its content was made of.
        jobs: the job process, which is to work by the same rules.
    """

    def __init__(self, settings: Settings, texts: Texts, jobs: Jobs) -> None:
        super().__init__(name="renewal", daemon=True)
        self._settings, self._texts, self._jobs = settings, texts, jobs
        self._keys = load_keys(settings)
        self._every_s: float = settings["content.watch"].total_seconds()
        self._one_at_a_time = threading.Lock()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._asked: Cause | None = None
        self._taken: Sighting | None = None  # what was read at the start is looked at once more
        self._seen: Sighting | None = None

    def serve(self, desk: Callable[[], Desk], put: Callable[[Desk], None]) -> None:
        """Say whose desk it is.

        Args:
            desk: returns the one in use.
            put: puts another one in its place.
        """
        self._desk, self._put = desk, put
        house = desk().house
        self.state = InForce(digest=house.ruleset.digest, since=house.clock.now(), counts=Counter())

    def ask(self) -> None:
        """Reload soon; asked twice before it began, it is done once. From any thread, also from one that waits."""
        self._asked = "signal"
        self._wake.set()

    def stop(self) -> None:
        """End, whatever is under way: what is in force stays."""
        self._stopping.set()
        self._wake.set()
        if self.is_alive():
            self.join()
        with self._one_at_a_time:  # a command may have asked
            pass

    def run(self) -> None:
        """Reload when asked, and when the files have changed and stand still again."""
        wait_s = self._every_s or None
        while not self._stopping.is_set():
            self._wake.wait(wait_s)
            self._wake.clear()
            wait_s = self._every_s or None
            if not self._stopping.is_set() and not self._turned():
                wait_s = RETRY_S

    def _turned(self) -> bool:
        """Reload if there is a reason to; tell whether it need not be tried again by itself."""
        cause, self._asked = self._asked, None
        if cause is None and self._every_s and self._stands_still():
            cause = "files"
        if cause is None:
            return True
        try:
            self.renew(job_access("rules"), cause)
        except SecmonError as error:
            if error.retryable:
                self._asked = self._asked or cause
                log.warning("rules.reload_waits", problem=str(error), retry_s=RETRY_S)
                return False
            if not isinstance(error, ContentError):  # which is told already
                log.warning("rules.unchanged", problem=str(error))
        except Exception:
            log.exception("rules.reload_failed")
        return True

    def _stands_still(self) -> bool:
        """Tell whether the files are others than those that were taken last, and the same as at the last look."""
        seen = look(self._settings)
        before, self._seen = self._seen, seen
        return seen == before and seen != self._taken

    def renew(self, access: Access, cause: Cause, *, accept_empty: bool = False) -> dict[str, Any]:
        """Put in force what the files say now; return what changed.

        Args:
            access: who asks.
            cause: why.
            accept_empty: a folder that held files and is empty now is meant.

        Raises:
            ContentError: nothing of it can be used; what was in force stays.
            StoreError: the store does not take the note that this is done; it is to be done again.
        """
        with self._one_at_a_time:
            seen = look(self._settings)
            if cause == "files" and seen == self._taken:  # somebody else did it meanwhile
                return {"state": "unchanged", "digest": self.state.digest}
            try:
                return self._renewed(access, cause, accept_empty=accept_empty)
            except Exception as error:
                if not (isinstance(error, SecmonError) and error.retryable):
                    self._taken = seen  # not again until somebody changes them
                if isinstance(error, ContentError):
                    self._refuse(access, cause, error)
                raise
            finally:
                give_back()

    def _renewed(self, access: Access, cause: Cause, *, accept_empty: bool) -> dict[str, Any]:
        fresh, seen = read_steady(self._settings, self._texts)
        before = self._texts
        require_places(self._settings, fresh, before, accept_empty=accept_empty)
        if fresh.digest == before.digest and not self.state.refused:
            self._taken = seen
            return self._told("unchanged", self.state.digest, ())
        old = self._desk()
        trial = Trial(fresh, before, broken_in(old.house.ruleset))
        verdict = tried_apart(self._settings, trial, self._keys, stopping=self._stopping)
        texts = mended(fresh, before, verdict.kept)
        desk = self._prepared(old, texts, verdict.refused)
        found = changes(old.house.ruleset, desk.house.ruleset)
        try:
            self._note(access, old, desk, _numbers(cause, found, verdict))
            self._require_running()
        except BaseException:
            if desk.work is not old.work:
                close(desk.work)
            raise
        self._put(desk)
        self._jobs.renew(texts)
        if desk.work is not old.work:
            retire(old.work, old.house.stages)
        self._texts, self._taken = texts, seen
        return self._entered(old, desk, found, verdict.refused)

    def _prepared(self, old: Desk, texts: Texts, refused: tuple[str, ...]) -> Desk:
        """Return a desk made of texts; its workers wait for work."""
        fields = content_fields(self._settings, load_content(self._settings, texts, self._keys))
        problems = tuple(dict.fromkeys((*refused, *fields.pop("problems"))))
        house = replace(old.house, **fields, problems=problems, remembered=Memory(REMEMBERED_BYTES))
        if house.ruleset.digest == old.house.ruleset.digest:
            return Desk(house, old.work)
        self._require_running()
        return Desk(house, self._workers(old.work, house.stages, texts, house.ruleset.digest))

    def _workers(self, old: Work, stages: Stages, texts: Texts, digest: str) -> Work:
        if not isinstance(old, PoolWork):
            return InlineWork(stages)
        pool = pool_of(self._settings, texts, digest, workers=self._settings["secmon.workers"])
        try:
            pool.warm_up(stopping=self._stopping)
            self._require_running()
        except BrokenProcessPool:
            pool.close()
            hint = "its log says why; watch memory"
            raise ContentError("the worker processes do not begin with these rules", hint=hint) from None
        except BaseException:
            pool.close()
            raise
        return pool

    def _require_running(self) -> None:
        if self._stopping.is_set():
            raise StoreUnavailableError("the daemon stops", hint="run the command again later")

    def _note(self, access: Access, old: Desk, desk: Desk, details: dict[str, object]) -> None:
        """Keep the rules and say in the audit chain who put them in force: before they are, so that none is unsaid."""
        self._require_running()
        rulebook.keep(desk.house, access)
        digests = {"from": old.house.ruleset.digest, "to": desk.house.ruleset.digest}
        audit.append(old.house, access, OPERATION, desk.house.ruleset.digest, details | digests)

    def _entered(self, old: Desk, desk: Desk, found: tuple[Change, ...], refused: tuple[str, ...]) -> dict[str, Any]:
        now, digest = desk.house.clock.now(), desk.house.ruleset.digest
        is_new = digest != old.house.ruleset.digest
        self.state = replace(
            self.state,
            digest=digest,
            since=now if is_new else self.state.since,
            refused=refused,
            refused_at=now if refused else None,
        )
        for problem in refused:
            log.warning("rules.refused", problem=problem)
        known = {*old.house.problems, *refused}
        broken = [problem for problem in desk.house.problems if problem not in known]
        for problem in broken:
            log.warning("content", problem=problem)
        state = "changed" if found or is_new else "refused" if refused else "unchanged"
        log.info("rules.reloaded", state=state, digest=digest, previous=old.house.ruleset.digest, changes=len(found))
        return self._told(state, old.house.ruleset.digest, found) | {"problems": broken}

    def _told(self, state: str, previous: str, found: tuple[Change, ...]) -> dict[str, Any]:
        counts = self.state.counts + Counter({state: 1})
        self.state = replace(self.state, counts=counts)
        return {
            "state": state,
            **self.state.row(),
            "previous": previous,
            "changes": [one.row() for one in found],
            "refused": list(self.state.refused),
            "problems": [],
        }

    def _refuse(self, access: Access, cause: Cause, error: ContentError) -> None:
        """Note that nothing was changed, and why."""
        log.warning("rules.refused", problem=str(error), cause=cause)
        house = self._desk().house
        counts = self.state.counts + Counter({"refused": 1})
        self.state = replace(self.state, refused=(str(error),), refused_at=house.clock.now(), counts=counts)
        try:
            audit.append(house, access, REFUSED, self.state.digest, {"cause": cause})
        except StoreError as failure:  # nothing was changed, and the log has it
            log.warning("rules.refusal_unsaid", problem=str(failure))


def _numbers(cause: Cause, found: tuple[Change, ...], verdict: Verdict) -> dict[str, object]:
    """Return what the audit chain says of a reload beside the digests."""
    made = Counter(one.change for one in found)
    numbers = {name: made[name] for name in ("added", "changed", "removed")}
    return {"cause": cause, **numbers, "refused": len(verdict.refused)}


def rules_in_force(state: InForce, rules: int) -> Check:
    """Return which rules apply since when, or what was refused of others."""
    if state.refused:
        more = f" (and {len(state.refused) - 1} more)" if len(state.refused) > 1 else ""
        return Check("rules", "warn", state.refused[0] + more, _REMEDY)
    return Check("rules", "ok", f"{rules} rules, {state.digest} since {format_time(state.since)}")
