"""Who may use the console: the first administrator by a one-time link, passwords by argon2, sessions by token.

Only digests of tokens are stored: who reads the database cannot log in with what stands there.
"""

import hashlib
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from secmon.app import audit
from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.errors import AccessError, ConflictError, NotFoundError, SecmonError
from secmon.model.access import ROOT, Access, Principal, Role, Scope, job_access
from secmon.model.event import format_time, parse_time
from secmon.model.record import Body, Document, RecordQuery

INVITATION_VALID = timedelta(minutes=15)
SESSION_VALID = timedelta(hours=8)
SESSION_IDLE = timedelta(minutes=30)
LOCK_AFTER = 5
"""Failed log-ins after which an account is locked; the standard (L3-CES1-02) names no number: our default."""
LOCK_FOR = timedelta(minutes=10)
MIN_PASSWORD = 12
_MAX_PASSWORD = 256
_MAX_NAME = 64
_ATTEMPTS = 100

_HASHER = PasswordHasher()
# Verified when the user does not exist, so that the answer takes as long as for one who does.
_NOBODY = _HASHER.hash(secrets.token_hex(16))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One logged-in browser.

    Args:
        user: the user's name.
        access: what they may do and see.
        csrf: token that every changing request must carry.
        expires: when it ends at the latest.
    """

    user: str
    access: Access
    csrf: str
    expires: datetime


def has_users(house: Installation, access: Access) -> bool:
    """Tell whether anybody can log in."""
    return bool(house.records.count(access, RecordQuery(kind="user"))[""])


def invite_first(house: Installation) -> str | None:
    """Return the token of a one-time link for the first administrator; None if there are users already.

    Every start without users makes a new link and withdraws the earlier ones.
    """
    access = job_access("setup")
    if has_users(house, access):
        return None
    for document in every(house.records, access, RecordQuery(kind="invitation")):
        house.records.delete(access, "invitation", document.id)
    token = secrets.token_urlsafe(32)
    expires = format_time(house.clock.now() + INVITATION_VALID)
    house.records.create(access, Document(kind="invitation", id=_digest(token), body={"expires": expires}))
    audit.append(house, access, "user.invite", "first-administrator")
    return token


def invitation_is_valid(house: Installation, token: str) -> bool:
    """Tell whether a one-time link may still be used."""
    document = house.records.get(job_access("setup"), "invitation", _digest(token))
    if document is None or "used" in document.body:
        return False
    return house.clock.now() < parse_time(document.body["expires"])


def accept_invitation(house: Installation, token: str, name: str, password: str) -> None:
    """Make the first administrator; the link is used up.

    Raises:
        AccessError: the link is unknown, used or expired.
        SecmonError: name or password do not fit.
    """
    access = job_access("setup")
    if not invitation_is_valid(house, token):
        raise AccessError("the link is not valid any more", hint="restart secmon for a new one")
    _check_name(name)
    _check_password(password)
    _use_up(house, access, token)
    if has_users(house, access):
        raise AccessError("there is an administrator already")
    _create(house, access, name, password, roles=Role, units=None)
    audit.append(house, access, "user.create", name, {"roles": sorted(Role)})


def add_user(
    house: Installation,
    access: Access,
    name: str,
    password: str,
    *,
    roles: Collection[Role],
    units: Collection[str] | None,
) -> None:
    """Make a user.

    Args:
        house: the installation.
        access: who adds them.
        name: their name.
        password: their first password.
        roles: what they may do.
        units: the units whose subtrees they see; None for everything.

    Raises:
        AccessError: the asker may not.
        NotFoundError: no such unit.
        SecmonError: name, password or roles do not fit.
    """
    if not access.may(Role.SYSTEM_ADMIN) or not access.scope.is_root:
        raise AccessError("managing users needs the role system_admin")
    _check_name(name)
    _check_password(password)
    if not roles:
        raise SecmonError("a user needs a role")
    if any(unit not in house.tree.units for unit in units or ()):
        raise NotFoundError("no such unit", hint="see units.yaml in [registers]")
    _create(house, access, name, password, roles=roles, units=units)
    seen = None if units is None else sorted(units)
    audit.append(house, access, "user.create", name, {"roles": sorted(roles), "units": seen})


def _create(
    house: Installation,
    access: Access,
    name: str,
    password: str,
    *,
    roles: Iterable[Role],
    units: Iterable[str] | None,
) -> None:
    body: Body = {
        "name": name,
        "password": _HASHER.hash(_bytes(password)),
        "roles": sorted(roles),
        "units": None if units is None else sorted(units),
        "created": format_time(house.clock.now()),
        "failures": 0,
        "locked_until": None,
    }
    try:
        house.records.create(access, Document(kind="user", id=name, body=body))
    except ConflictError:
        raise SecmonError("the name is taken") from None


def _use_up(house: Installation, access: Access, token: str) -> None:
    """Use a link up before the user is made: of two browsers with the same link one wins the compare-and-swap."""
    document = house.records.get(access, "invitation", _digest(token))
    if document is not None and "used" not in document.body:
        used = {**document.body, "used": True, "expires": format_time(house.clock.now())}
        try:
            house.records.replace(access, replace(document, body=used))
        except (ConflictError, NotFoundError):
            document = None
    if document is None or "used" in document.body:
        raise AccessError("the link is not valid any more", hint="restart secmon for a new one")
    house.records.delete(access, "invitation", document.id)


def log_in(house: Installation, name: str, password: str) -> str:
    """Return the token of a new session.

    Raises:
        AccessError: wrong name or password, or the account is locked. The three are not told apart, in words or in
            time: a stranger must not learn which accounts there are.
    """
    access = job_access("login")
    document = _counted_attempt(house, access, name)
    hashed = str(document.body["password"]) if document else _NOBODY
    if not _verified(hashed, password) or document is None:
        if document is not None:
            action = "user.lock" if document.body["locked_until"] else "user.login_failed"
            audit.append(house, access, action, document.id)
        raise AccessError(
            "name or password is wrong",
            hint="after {count} failures an account is locked for {minutes} minutes",
            values={"count": LOCK_AFTER, "minutes": LOCK_FOR // timedelta(minutes=1)},
        )
    _save(house, access, document, {"failures": 0, "locked_until": None})
    return _new_session(house, access, document.id)


def _counted_attempt(house: Installation, access: Access, name: str) -> Document | None:
    """Return the user with this attempt already counted; None if there is none of this name, or they are locked.

    It is counted as a failure before the password is looked at, and forgotten after a success, so that guesses made
    at the same time cannot outrun the count.
    """
    for _ in range(_ATTEMPTS):
        document = house.records.get(access, "user", name) if len(name) <= _MAX_NAME else None
        now = house.clock.now()
        if document is None or (document.body["locked_until"] and now < parse_time(document.body["locked_until"])):
            return None
        failures = int(document.body["failures"]) + 1
        locked = format_time(now + LOCK_FOR) if failures >= LOCK_AFTER else None
        counted = {"failures": 0 if locked else failures, "locked_until": locked}
        try:
            return house.records.replace(access, replace(document, body={**document.body, **counted}))
        except ConflictError:
            continue  # another attempt was counted meanwhile
    return None


def _new_session(house: Installation, access: Access, user: str) -> str:
    now = house.clock.now()
    _clear_away(house, access, now)
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    expires = format_time(now + SESSION_VALID)
    body = {"user": user, "csrf": csrf, "expires": expires, "seen": format_time(now)}
    house.records.create(access, Document(kind="session", id=_digest(token), body=body, keys={"expires": expires}))
    audit.append(house, access, "user.login", user)
    return token


def _clear_away(house: Installation, access: Access, now: datetime) -> None:
    """Remove sessions whose browsers never came back."""
    ended = RecordQuery(kind="session", ranges={"expires": (None, format_time(now))})
    for document in house.records.find(access, ended).documents:
        house.records.delete(access, "session", document.id)


def log_out(house: Installation, token: str) -> None:
    """End a session."""
    access = job_access("login")
    document = house.records.get(access, "session", _digest(token))
    if document is not None:
        house.records.delete(access, "session", document.id)
        audit.append(house, access, "user.logout", str(document.body["user"]))


def session_of(house: Installation, token: str) -> Session | None:
    """Return the session of a token, None if it is unknown, expired, idle too long or its user is gone."""
    access = job_access("login")
    document = house.records.get(access, "session", _digest(token))
    if document is None:
        return None
    now, body = house.clock.now(), document.body
    if now >= parse_time(body["expires"]) or now >= parse_time(body["seen"]) + SESSION_IDLE:
        house.records.delete(access, "session", document.id)
        return None
    user = house.records.get(access, "user", str(body["user"]))
    if user is None:
        return None
    if now - parse_time(body["seen"]) > timedelta(minutes=1):
        _save(house, access, document, {"seen": format_time(now)})
    return Session(
        user=user.id,
        access=_access_of(house, user),
        csrf=str(body["csrf"]),
        expires=parse_time(body["expires"]),
    )


def _access_of(house: Installation, user: Document) -> Access:
    roots = user.body.get("units")
    scope = ROOT
    if roots is not None:
        scope = Scope(frozenset().union(*(house.tree.subtree(str(unit)) for unit in roots)))
    return Access(Principal(f"user:{user.id}", frozenset(Role(role) for role in user.body["roles"])), scope)


def _save(house: Installation, access: Access, document: Document, changes: dict[str, object]) -> None:
    try:
        house.records.replace(access, replace(document, body={**document.body, **changes}))
    except (ConflictError, NotFoundError):
        return  # a parallel request of the same user wrote it, or ended the session


def _verified(hashed: str, password: str) -> bool:
    # An endless password costs as much as the longest one; none that was cut matches.
    try:
        matches = _HASHER.verify(hashed, _bytes(password[:_MAX_PASSWORD]))
    except (VerificationError, InvalidHashError):
        return False
    return matches and len(password) <= _MAX_PASSWORD


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")  # any text may be typed, lone surrogates included


def _check_name(name: str) -> None:
    if not name or len(name) > _MAX_NAME or not all(c.isalnum() or c in "._-@" for c in name):
        raise SecmonError("the name must be letters, digits, . _ - @ (at most 64)")


def _check_password(password: str) -> None:
    if not MIN_PASSWORD <= len(password) <= _MAX_PASSWORD:
        raise SecmonError("the password must have 12 to 256 characters")
    kinds = sum(
        any(test(c) for c in password) for test in (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
    )
    if kinds < 3:  # noqa: PLR2004  three of four kinds: L3-CES1-01 asks for complexity
        raise SecmonError("the password must mix at least three of: lower case, upper case, digits, signs")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
