"""Users: the first administrator's link, passwords, locks and sessions; what a stranger can learn or wear out."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secmon.app import audit, users
from secmon.app.installation import Installation
from secmon.errors import AccessError, SecmonError
from secmon.model.access import ROOT, Access, Principal, Role
from secmon.model.record import Document, RecordQuery
from tests.app.houses import NOON, OPERATOR, SetClock

ALL_ROLES = Access(Principal("user:admin", frozenset(Role)), ROOT)

PASSWORD = "Kreide-4711-Tafel"


@pytest.fixture(autouse=True)
def _cheap_argon2(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same algorithm with less work: these tests log in hundreds of times."""
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(users, "_HASHER", cheap)
    monkeypatch.setattr(users, "_NOBODY", cheap.hash("nobody"))


@pytest.fixture
def admin(house: Installation) -> str:
    token = users.invite_first(house)
    assert token is not None
    users.accept_invitation(house, token, "mori", PASSWORD)
    return "mori"


def user(house: Installation, name: str = "mori") -> Document:
    found = house.records.get(OPERATOR, "user", name)
    assert found is not None
    return found


def changed(house: Installation, **changes: Any) -> None:
    found = user(house)
    house.records.replace(OPERATOR, replace(found, body={**found.body, **changes}))


def actions(house: Installation) -> list[str]:
    found = house.records.find(OPERATOR, RecordQuery(kind="audit", order="number", limit=1000)).documents
    return [str(one.body["action"]) for one in found]


def wrong(house: Installation, times: int, name: str = "mori") -> None:
    for _ in range(times):
        with pytest.raises(AccessError, match="name or password is wrong"):
            users.log_in(house, name, "Wrong-4711-Tafel")


# The one-time link.


def test_the_first_administrator_has_every_role_and_sees_everything(house: Installation, admin: str) -> None:
    session = users.session_of(house, users.log_in(house, admin, PASSWORD))
    assert session is not None
    assert session.access.scope == ROOT
    assert session.access.principal.roles == frozenset(Role)
    assert session.access.principal.id == "user:mori"


def test_nobody_is_invited_once_there_are_users(house: Installation, admin: str) -> None:
    assert admin
    assert users.invite_first(house) is None


def test_a_link_works_once(house: Installation) -> None:
    token = users.invite_first(house) or ""
    users.accept_invitation(house, token, "mori", PASSWORD)
    with pytest.raises(AccessError, match="not valid any more"):
        users.accept_invitation(house, token, "other", PASSWORD)
    assert house.records.count(OPERATOR, RecordQuery(kind="user"))[""] == 1


def test_of_two_browsers_with_the_same_link_one_wins(house: Installation) -> None:
    token = users.invite_first(house) or ""

    def accept(name: str) -> bool:
        try:
            users.accept_invitation(house, token, name, PASSWORD)
        except AccessError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(accept, [f"user{number}" for number in range(8)]))
    assert sum(won) == 1
    assert house.records.count(OPERATOR, RecordQuery(kind="user"))[""] == 1


def test_a_link_ends_after_fifteen_minutes(house: Installation, clock: SetClock) -> None:
    token = users.invite_first(house) or ""
    clock.pass_time(minutes=14, seconds=59)
    assert users.invitation_is_valid(house, token)
    clock.pass_time(seconds=1)
    assert not users.invitation_is_valid(house, token)
    with pytest.raises(AccessError):
        users.accept_invitation(house, token, "mori", PASSWORD)


def test_a_restart_withdraws_the_earlier_link(house: Installation) -> None:
    first, second = users.invite_first(house) or "", users.invite_first(house) or ""
    assert not users.invitation_is_valid(house, first)
    assert users.invitation_is_valid(house, second)


def test_a_bad_password_does_not_use_the_link_up(house: Installation) -> None:
    token = users.invite_first(house) or ""
    with pytest.raises(SecmonError):
        users.accept_invitation(house, token, "mori", "short")
    users.accept_invitation(house, token, "mori", PASSWORD)


@pytest.mark.parametrize("token", ["", "x", "\ud800", "a" * 100_000, "../../etc"])
def test_an_invented_link_is_refused(house: Installation, token: str) -> None:
    users.invite_first(house)
    assert not users.invitation_is_valid(house, token)


def test_neither_token_nor_password_stands_in_the_store(house: Installation, admin: str, tmp_path: Path) -> None:
    session = users.log_in(house, admin, PASSWORD)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("control.db*"))
    assert session.encode() not in stored
    assert PASSWORD.encode() not in stored


# Names and passwords.


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\0b", "\ud800", "a\n", "x" * 65, "<b>", "a;b", "\u202emori"])
def test_hostile_names_are_refused(house: Installation, name: str) -> None:
    token = users.invite_first(house) or ""
    with pytest.raises(SecmonError, match="the name must be"):
        users.accept_invitation(house, token, name, PASSWORD)


def test_a_chinese_name_is_a_name(house: Installation) -> None:
    users.accept_invitation(house, users.invite_first(house) or "", "王小明", PASSWORD)
    assert users.log_in(house, "王小明", PASSWORD)


@pytest.mark.parametrize(
    "password", ["", "Short-1", "alllowercaseletters", "lowerandUPPERonly", "123456789012345", "A1-" * 100, "aB1" * 3]
)
def test_weak_or_endless_passwords_are_refused(house: Installation, password: str) -> None:
    token = users.invite_first(house) or ""
    with pytest.raises(SecmonError, match="the password must"):
        users.accept_invitation(house, token, "mori", password)


@pytest.mark.parametrize("password", ["abcDEF123456", "密码-Tafel-4711-长", "A1-" + "x" * 253])
def test_three_kinds_of_characters_are_enough(house: Installation, password: str) -> None:
    users.accept_invitation(house, users.invite_first(house) or "", "mori", password)
    assert users.log_in(house, "mori", password)


def test_any_text_may_be_the_password_of_a_user_that_somebody_adds(house: Installation) -> None:
    password = "Tafel-4711-\ud800"  # typed into a terminal whose encoding is another one
    users.add_user(house, ALL_ROLES, "kurz", password, roles=[Role.READER], units=None)
    assert users.log_in(house, "kurz", password)
    with pytest.raises(SecmonError, match="the name is taken"):
        users.add_user(house, ALL_ROLES, "kurz", password, roles=[Role.READER], units=None)


def test_a_password_is_compared_as_a_whole(house: Installation) -> None:
    longest = "A1-" + "x" * 253
    users.accept_invitation(house, users.invite_first(house) or "", "mori", longest)
    with pytest.raises(AccessError):
        users.log_in(house, "mori", longest + "x")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(), max_size=80), password=st.text(st.characters(), max_size=300))
def test_no_text_breaks_the_log_in(house: Installation, name: str, password: str) -> None:
    with pytest.raises(AccessError, match="name or password is wrong"):
        users.log_in(house, name, password)


@pytest.mark.parametrize("password", ["\ud800", "x" * 1_000_000, "\0", ""])
def test_no_password_breaks_the_log_in_of_a_known_user(house: Installation, admin: str, password: str) -> None:
    with pytest.raises(AccessError, match="name or password is wrong"):
        users.log_in(house, admin, password)


def test_a_name_longer_than_any_is_not_taken_for_its_beginning(house: Installation) -> None:
    name = "m" * 64
    users.accept_invitation(house, users.invite_first(house) or "", name, PASSWORD)
    with pytest.raises(AccessError):
        users.log_in(house, name + "x", PASSWORD)


# What a stranger learns.


class Counting(PasswordHasher):
    """argon2 that counts how often it worked."""

    verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]  # noqa: A002  its name
        type(self).verified += 1
        return super().verify(hash, password)


def refusal(house: Installation, name: str) -> tuple[str, int]:
    Counting.verified = 0
    with pytest.raises(AccessError) as refused:
        users.log_in(house, name, "Wrong-4711-Tafel")
    return str(refused.value), Counting.verified


def test_unknown_wrong_and_locked_look_the_same_and_cost_the_same(
    house: Installation, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "_HASHER", Counting())
    unknown, first = refusal(house, "nobody"), refusal(house, admin)
    wrong(house, users.LOCK_AFTER)
    assert refusal(house, admin) == first == unknown
    assert unknown[1] == 1


def test_a_damaged_password_hash_refuses(house: Installation, admin: str) -> None:
    changed(house, password="not an argon2 hash")
    with pytest.raises(AccessError):
        users.log_in(house, admin, PASSWORD)


# Locks.


def test_five_failures_lock_for_ten_minutes(house: Installation, admin: str, clock: SetClock) -> None:
    wrong(house, users.LOCK_AFTER)
    with pytest.raises(AccessError):
        users.log_in(house, admin, PASSWORD)
    clock.pass_time(minutes=9, seconds=59)
    with pytest.raises(AccessError):
        users.log_in(house, admin, PASSWORD)
    clock.pass_time(seconds=1)
    assert users.log_in(house, admin, PASSWORD)


def test_a_success_forgets_earlier_failures(house: Installation, admin: str) -> None:
    for _ in range(3):
        wrong(house, users.LOCK_AFTER - 1)
        assert users.log_in(house, admin, PASSWORD)


def test_after_a_lock_the_count_starts_again(house: Installation, admin: str, clock: SetClock) -> None:
    wrong(house, users.LOCK_AFTER)
    clock.pass_time(minutes=10)
    wrong(house, users.LOCK_AFTER - 1)
    assert users.log_in(house, admin, PASSWORD)


def test_guesses_at_the_same_time_all_count(house: Installation, admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_HASHER", Counting())

    def guess(number: int) -> None:
        with pytest.raises(AccessError):
            users.log_in(house, admin, f"Guess-4711-{number}")

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(guess, range(16)))
    with pytest.raises(AccessError):
        users.log_in(house, admin, PASSWORD)
    assert actions(house).count("user.lock") == 1
    assert actions(house).count("user.login_failed") == users.LOCK_AFTER - 1


def test_log_ins_failures_and_locks_stand_in_the_audit_chain(house: Installation, admin: str) -> None:
    wrong(house, users.LOCK_AFTER)
    assert actions(house) == [
        "user.invite",
        "user.create",
        *["user.login_failed"] * (users.LOCK_AFTER - 1),
        "user.lock",
    ]
    assert audit.verify(house, OPERATOR) == []
    assert admin


def test_what_a_stranger_types_as_a_name_stands_nowhere(house: Installation, tmp_path: Path) -> None:
    wrong(house, 1, name="Kreide-typed-into-the-wrong-field")
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("control.db*"))
    assert b"wrong-field" not in stored


# Sessions.


def test_a_session_ends_after_thirty_idle_minutes(house: Installation, admin: str, clock: SetClock) -> None:
    token = users.log_in(house, admin, PASSWORD)
    clock.pass_time(minutes=29)
    assert users.session_of(house, token) is not None
    clock.pass_time(minutes=29)
    assert users.session_of(house, token) is not None
    clock.pass_time(minutes=30)
    assert users.session_of(house, token) is None


def test_a_busy_session_ends_after_eight_hours(house: Installation, admin: str, clock: SetClock) -> None:
    token = users.log_in(house, admin, PASSWORD)
    for _ in range(8 * 4 - 1):
        clock.pass_time(minutes=15)
        assert users.session_of(house, token) is not None
    clock.pass_time(minutes=15)
    assert users.session_of(house, token) is None


def test_an_ended_session_does_not_come_back_when_the_clock_is_set_back(
    house: Installation, admin: str, clock: SetClock
) -> None:
    token = users.log_in(house, admin, PASSWORD)
    clock.pass_time(hours=9)
    assert users.session_of(house, token) is None
    clock.moment = NOON
    assert users.session_of(house, token) is None


def test_logging_out_ends_the_session(house: Installation, admin: str) -> None:
    token = users.log_in(house, admin, PASSWORD)
    users.log_out(house, token)
    assert users.session_of(house, token) is None
    assert actions(house)[-1] == "user.logout"


def test_logging_out_of_no_session_writes_nothing(house: Installation, admin: str) -> None:
    assert admin
    before = actions(house)
    users.log_out(house, "invented")
    assert actions(house) == before


def test_sessions_that_ended_are_cleared_away_by_the_next_log_in(
    house: Installation, admin: str, clock: SetClock
) -> None:
    for _ in range(3):
        users.log_in(house, admin, PASSWORD)
    clock.pass_time(hours=9)
    users.log_in(house, admin, PASSWORD)
    assert house.records.count(OPERATOR, RecordQuery(kind="session"))[""] == 1


@pytest.mark.parametrize("token", ["", "x", "\ud800", "\0"])
def test_an_invented_session_is_none(house: Installation, admin: str, token: str) -> None:
    assert admin
    assert users.session_of(house, token) is None


def test_every_session_has_tokens_of_its_own(house: Installation, admin: str) -> None:
    tokens = [users.log_in(house, admin, PASSWORD) for _ in range(3)]
    csrf = {found.csrf for token in tokens if (found := users.session_of(house, token))}
    assert len({*tokens, *csrf}) == 6


def test_a_user_of_a_unit_sees_its_subtree(house: Installation, admin: str) -> None:
    token = users.log_in(house, admin, PASSWORD)
    changed(house, units=["C-1"], roles=["reader"])
    session = users.session_of(house, token)
    assert session is not None
    assert session.access.scope.units == frozenset({"C-1", "S-1", "S-2"})
    assert session.access.principal.roles == {Role.READER}


@pytest.mark.parametrize("units", [[], ["gone"]])
def test_a_user_of_no_known_unit_sees_nothing(house: Installation, admin: str, units: list[str]) -> None:
    token = users.log_in(house, admin, PASSWORD)
    changed(house, units=units)
    session = users.session_of(house, token)
    assert session is not None
    assert session.access.scope.units == frozenset()
    assert not session.access.scope.sees(None)
