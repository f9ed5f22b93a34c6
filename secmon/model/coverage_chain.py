"""Checking a coverage ledger from what it wrote alone: nothing changed, inserted, left out or cut off.

Pure: sheets and seals go in, problems come out; so one check serves the store and a file that an auditor took home.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from secmon.model.coverage import GENESIS, digest_of, hours_of, root_of
from secmon.model.record import Body

Verifies = Callable[[bytes, str, str], bool]
"""Signed bytes, signature, public key → whether the signature is right."""
CHANGED, INSERTED, DELETED, TRUNCATED, FORGED = "changed", "inserted", "deleted", "truncated", "signature"
MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True, order=True)
class Wrong:
    """Something that is not as it was written.

    Args:
        place: "sheet N", "seal N", "row SOURCE FROM", "batches SOURCE FROM" or "coverage.head".
        how: "changed", "inserted", "deleted", "truncated" or "signature".
    """

    place: str
    how: str

    def __str__(self) -> str:
        return f"{self.place}: {self.how}"


@dataclass(slots=True)
class ChainCheck:
    """Takes seals first, then sheets, both in order of their numbers.

    Args:
        verifies: checks a signature.
        trusted: public keys whose seals count; empty takes each seal's own, which proves only that it is whole.
    """

    verifies: Verifies
    trusted: Collection[str] = ()
    sheets: int = 0
    rows: int = 0
    seals: int = 0
    digest: str = GENESIS
    closed: str = ""
    sealed: str = ""
    latest: dict[tuple[str, str], Body] = field(default_factory=dict)
    problems: dict[Wrong, None] = field(default_factory=dict)
    _sheet_digests: dict[int, str] = field(default_factory=dict)
    _seal_digest: str = GENESIS
    _waiting: list[Body] = field(default_factory=list)
    _by_last: dict[int, list[Body]] = field(default_factory=dict)
    _bound: int = 0

    def take_seal(self, body: Body) -> None:
        """Take the next seal."""
        number = int(body["number"])
        if not self._is_next("seal", number, self.seals):
            return
        place = f"seal {number}"
        if digest_of(body) != body["digest"] or (self._seal_digest and body["first"] != self._bound + 1):
            self.wrong(place, CHANGED)
        elif self._seal_digest and body["previous"] != self._seal_digest:
            self.wrong(f"seal {max(number - 1, 1)}", CHANGED)
        public = str(body["public"])
        signed = self.verifies(str(body["digest"]).encode(), str(body.get("signature", "")), public)
        if not signed or (self.trusted and public not in self.trusted):
            self.wrong(place, FORGED)
        self.seals, self._seal_digest = number, str(body["digest"])
        self._bound = max(self._bound, int(body["last"]))
        self._by_last.setdefault(int(body["last"]), []).append(body)

    def take_sheet(self, body: Body) -> None:
        """Take the next sheet."""
        number = int(body["number"])
        if not self._is_next("sheet", number, self.sheets):
            return
        for row in body["rows"]:
            self._take_row(row)
        if digest_of(body) != body["digest"]:
            self.wrong(f"sheet {number}", CHANGED)
        elif self.digest and body["previous"] != self.digest:
            self.wrong(f"sheet {max(number - 1, 1)}", CHANGED)
        self.sheets, self.digest = number, str(body["digest"])
        self._sheet_digests[number] = self.digest
        if not self.problems:
            self.closed = str(body["closed"])
        self._waiting.append(body)
        for one in self._by_last.pop(number, ()):
            self._compare_seal(one)

    def _take_row(self, row: Body) -> None:
        self.rows += 1
        place = f"row {row['source']} {row['from']}"
        if digest_of(row) != row["digest"]:
            self.wrong(place, CHANGED)
        for hour in hours_of(row):
            before = self.latest.get((hour, row["source"]))
            revision, digest = (int(before["revision"]), before["digest"]) if before else (0, "")
            if row["revision"] <= revision:
                self.wrong(place, INSERTED)
            elif row["revision"] > revision + 1:
                self.wrong(place, DELETED)
            elif row["previous"] != digest:
                self.wrong(place, CHANGED)
            self.latest[(hour, row["source"])] = row

    def _compare_seal(self, body: Body) -> None:
        bound = [one for one in self._waiting if one["number"] >= body["first"]]
        self._waiting = []
        rows = sum(len(one["rows"]) for one in bound)
        if (body["root"], body["rows"], body["sheet"]) != (root_of(bound), rows, self.digest):
            self.wrong(f"seal {body['number']}", CHANGED)
        elif not self.problems:
            self.sealed = str(body["day"])

    def compare(self, place: str, number: int, digest: str) -> None:
        """Compare with a head that was kept elsewhere: the last sheet's number and digest."""
        if number > self.sheets:
            self.wrong(place, TRUNCATED)
        elif number and self._sheet_digests.get(number) != digest:
            self.wrong(f"sheet {number}", CHANGED)

    def compare_seal(self, number: int, digest: str) -> None:
        """Compare with the head's last seal."""
        if number > self.seals:
            self.wrong(f"seal {number}", TRUNCATED)
        elif number == self.seals and digest != self._seal_digest:
            self.wrong(f"seal {number}", CHANGED)

    def finish(self) -> None:
        """Say what seals bind that never came."""
        for last in self._by_last:
            self.wrong(f"sheet {last}", TRUNCATED)

    def wrong(self, place: str, how: str) -> None:
        """Note a problem, once; the first hundred are enough."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems[Wrong(place, how)] = None

    def _is_next(self, what: str, number: int, last: int) -> bool:
        if number <= last:
            self.wrong(f"{what} {number}", INSERTED)
            return False
        for missing in range(last + 1, min(number, last + MAX_PROBLEMS)):
            self.wrong(f"{what} {missing}", DELETED)
        if number > last + 1:  # nobody can tell what stood before this one
            if what == "sheet":
                self.digest = ""
            else:
                self._seal_digest = ""
        return True
