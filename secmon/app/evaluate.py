"""From stored hits to alerts: one tick of the scheduler.

A tick reads the hits that were committed since the last one and folds them into the alerts they belong to; for the
correlation keys that they touch it reads all hits of the window again. Its outcome is a pure function of the set of
stored hits: late, repeated or re-ordered ticks end with the same alerts.

Every attempt at a tick has a number of its own, taken by compare-and-swap before anything is folded, and an alert
remembers the last one it was folded into. The attempt that moves the mark is the one that counts. An alert that carries
the number of an attempt behind the last one that counted was touched by one that died, or by a daemon that was frozen:
it is summed up anew from all hits up to the mark. An attempt that meets a higher number than its own was replaced and
ends at once (`app.folding`). So a daemon that wakes in the middle of a tick, however late, counts nothing twice and
overwrites nothing.
"""

from dataclasses import dataclass, replace

from secmon.app.folding import Evaluation, Folding
from secmon.app.installation import Installation
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.record import Document

MARK = "alerts"
_ATTEMPTS = 20


def evaluate(house: Installation, access: Access) -> Evaluation:
    """Bring alerts up to date with everything that is committed, whoever else does so at the same moment.

    Raises:
        ConflictError: others keep getting in between; the next call goes on.
    """
    done = Evaluation()
    conflicts = 0
    while True:
        try:
            if not _tick(house, access, done):
                return done
        except ConflictError:
            conflicts += 1
            if conflicts == _ATTEMPTS:
                raise
        else:
            conflicts = 0


def is_current(house: Installation, access: Access) -> bool:
    """Tell whether alerts are up to date with everything that is committed now."""
    mark = _read_mark(house, access)
    return house.log.hits_since(access, mark.place, limit=1)[1] == mark.place


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far hits are folded into alerts.

    Args:
        place: the mark of `EventLog.hits_since` behind them.
        begun: number of the last attempt at a tick.
        done: number of the attempt that moved the mark here.
        version: of its document; 0 if there is none.
    """

    place: str = ""
    begun: int = 0
    done: int = 0
    version: int = 0


def _tick(house: Installation, access: Access, done: Evaluation) -> bool:
    """Fold what was committed since the last tick; tell whether there was anything.

    Raises:
        ConflictError: another attempt began, or ended, meanwhile.
    """
    mark = _read_mark(house, access)
    with house.log.together(access):
        hits, place = house.log.hits_since(access, mark.place)
        if place == mark.place:
            return False
        if hits:
            before, mark = mark.place, _save_mark(house, access, replace(mark, begun=mark.begun + 1))
            house.standing.begin(mark.begun, before)
            Folding(house, access, number=mark.begun, counted=mark.done, upto=place, done=done).fold(hits)
            done.hits += len(hits)
    _save_mark(house, access, replace(mark, place=place, done=mark.begun))
    house.standing.end(mark.begun, place)
    return True


def _read_mark(house: Installation, access: Access) -> _Mark:
    document = house.records.get(access, "mark", MARK)
    if document is None:
        return _Mark()
    body = document.body
    begun = int(body["tick"])
    return _Mark(str(body["mark"]), begun, int(body.get("done", begun)), document.version)


def _save_mark(house: Installation, access: Access, mark: _Mark) -> _Mark:
    body = {"mark": mark.place, "tick": mark.begun, "done": mark.done}
    document = Document(kind="mark", id=MARK, body=body, version=mark.version)
    saved = house.records.replace(access, document) if mark.version else house.records.create(access, document)
    return replace(mark, version=saved.version)
