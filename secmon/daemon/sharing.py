"""The thread that keeps this daemon's session and its leases, and the id that its state folder has."""

import os
import socket
import threading
import uuid
from importlib import metadata
from pathlib import Path

import structlog

from secmon.app.installation import Installation
from secmon.app.leases import BEAT_S, FORWARD, Member, Peer
from secmon.daemon.health import DAEMONS, Check
from secmon.errors import SecmonError, StoreUnavailableError
from secmon.model.access import job_access

_ID_DIGITS = 32
log = structlog.get_logger()


class Sharing(threading.Thread):
    """Beats until it is told to stop.

    Args:
        member: what this daemon is among the others.
    """

    def __init__(self, member: Member) -> None:
        super().__init__(name="sharing", daemon=True)
        self._member = member
        self._stopping = threading.Event()
        self._problem = ""

    def begin(self) -> None:
        """Take part, with a first beat here and now.

        Raises:
            SecmonError: the store is away, or somebody was in between; to be called again.
        """
        self._member.beat()
        if not self.is_alive():
            self.start()

    def run(self) -> None:
        """Beat after beat, whatever goes wrong in one."""
        while not self._stopping.wait(BEAT_S):
            try:
                self._member.beat()
            except SecmonError as error:
                self._problem = str(error)
                log.warning("sharing.waits", problem=self._problem)
            except Exception:
                self._problem = "the beat failed; see the log"
                log.exception("sharing.failed")
            else:
                self._problem = ""

    def stop(self) -> None:
        """End the session, so that others take over at once."""
        self._stopping.set()
        if self.is_alive():
            self.join()
        try:
            self._member.end()
        except SecmonError as error:
            log.warning("sharing.ends", problem=str(error))

    def check(self) -> Check:
        """Return who else shares the store, and whether this daemon does."""
        if self._problem:
            return Check(DAEMONS, "fail", self._problem)
        hosts = ", ".join(f"{one.host} ({one.id[:8]})" for one in self._member.others)
        seen = f"this one, {hosts}" if hosts else "this one"
        if self._member.term(FORWARD):
            seen = f"{seen}; alerts and windows are brought forward here"
        ours = self._member.ruleset
        others = [one.host for one in self._member.others if one.ruleset and one.ruleset != ours]
        if others:
            remedy = "let the rule files be the same, then: secmon rules reload"
            return Check(DAEMONS, "warn", f"{seen}; other rules on {', '.join(others)}", remedy)
        return Check(DAEMONS, "ok", seen)


def member_of(house: Installation, state: Path, sources: list[str], *, takes_all: bool = False) -> Member:
    """Return what the daemon of a state folder is among those that share its store.

    Args:
        house: its installation.
        state: the state folder.
        sources: what it is configured to read.
        takes_all: it ends by itself, so nobody shall give it anything; it takes what is free.
    """
    peer = Peer(
        id=daemon_id(state),
        host=socket.gethostname(),
        started="",
        software=metadata.version("secmon"),
        sources=tuple(sorted(sources)),
    )
    return Member(house, job_access("sharing"), peer, takes_all=takes_all)


def daemon_id(state: Path) -> str:
    """Return the id of a state folder's daemon, made at its first start.

    Raises:
        StoreUnavailableError: it cannot be kept.
    """
    path = state / "daemon.id"
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else ""
        if len(text) == _ID_DIGITS and text.isalnum():
            return text
        fresh = uuid.uuid4().hex
        temporary = path.with_suffix(".new")
        with temporary.open("w", encoding="ascii") as file:
            file.write(f"{fresh}\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StoreUnavailableError(
            "the id of the daemon cannot be kept: {reason}",
            where=str(path),
            hint="check owner and mode of the state folder",
            values={"reason": os.strerror(error.errno or 0)},
        ) from error
    return fresh
