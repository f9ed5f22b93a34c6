"""Failures of the cluster as our own errors: one clear sentence each, never a value from a record."""

import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from elastic_transport import ConnectionError as NoConnectionError
from elastic_transport import ConnectionTimeout, SerializationError, TlsError, TransportError
from elasticsearch import ApiError, UnsupportedProductError

from secmon.errors import StoreError, StoreUnavailableError

NOT_FOUND = 404
CONFLICT = 409
BAD_REQUEST = 400
TOO_LARGE = 413
TOO_MANY = 429
_UNAUTHENTICATED, _FORBIDDEN, _SERVER_FAILED = 401, 403, 500

_BREAKER: Final = "circuit_breaking_exception"
_BLOCKED = "cluster_block_exception"
# The only part of a reason that is told: names out of Elasticsearch's own list of privileges, the least one first.
_LACKING: Final = re.compile(r"granted by the (?:cluster|index) privileges \[([a-z_]{1,40})[,\]]")
# OpenSSL's X509_V_ERR_…: what `verify_code` means (openssl verify(1)).
_EXPIRED: Final = frozenset((9, 10))
_OTHER_NAME: Final = frozenset((62, 64))


class LostError(StoreUnavailableError):
    """The connection failed, perhaps in the middle: nobody knows whether the request was carried out."""


class TooLargeError(StoreUnavailableError):
    """An answer would need more memory than a node has for it (its circuit breaker); less may be asked at once."""


@contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Turn failures of the client into `StoreError`s that name the server.

    Raises:
        StoreUnavailableError: it may pass: no connection, wrong certificate or credentials, read-only, full, too busy.
        StoreError: the server is of another product, or refuses the request.
    """
    try:
        yield
    except UnsupportedProductError as error:
        raise StoreError(
            "this server is not Elasticsearch", where=url, hint="check store.elasticsearch.urls"
        ) from error
    except ApiError as error:
        raise api_failure(url, error.meta.status, error_of(error.body), right=_lacking(error.body)) from error
    except TlsError as error:
        raise _tls_failure(url, error) from error
    except ConnectionTimeout as error:
        raise StoreUnavailableError(
            "the server does not answer in time", where=url, hint="see `secmon doctor`"
        ) from error
    except NoConnectionError as error:
        problem = "the server cannot be reached"
        raise LostError(problem, where=url, hint="check store.elasticsearch.urls and the network") from error
    except SerializationError as error:
        raise StoreError(
            "the server does not answer in JSON", where=url, hint="check store.elasticsearch.urls"
        ) from error
    except TransportError as error:
        raise LostError("the connection failed", where=url, hint="see `secmon doctor`") from error


def _tls_failure(url: str, error: TlsError) -> StoreUnavailableError:
    code = _verify_code(error)
    if code in _EXPIRED:
        problem = "the certificate of the server has expired or is not valid yet"
        hint = "renew it, or set the clocks"
    elif code in _OTHER_NAME:
        problem = "the certificate of the server is made for another name"
        hint = "store.elasticsearch.urls has to use a name or address that stands in the certificate"
    elif code is not None:
        problem = "the certificate of the server is signed by an authority that is not trusted"
        hint = "store.elasticsearch.ca has to be the authority of the cluster"
    else:
        problem = "the server does not speak TLS, or not a version that is safe"
        hint = "check store.elasticsearch.urls"
    return StoreUnavailableError(problem, where=url, hint=hint)


def _verify_code(error: BaseException) -> int | None:
    """Return why a certificate was refused, from wherever it is wrapped."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_code
        cause = cause.__cause__ or cause.__context__
    return None


def _lacking(body: Any) -> str:
    """Return the privilege that an answer says is missing, "" if it does not say."""
    error = body.get("error") if isinstance(body, dict) else None
    reason = error.get("reason") if isinstance(error, dict) else None
    found = _LACKING.search(reason) if isinstance(reason, str) else None
    return found[1] if found else ""


def lacking_rights(url: str, rights: Sequence[str]) -> StoreUnavailableError:
    """Return the error for credentials that lack rights; `rights` are Elasticsearch's own names."""
    return StoreUnavailableError(
        "the credentials lack these rights: {rights}",
        where=url,
        hint="docs/elasticsearch.md lists the rights of each role",
        values={"rights": ", ".join(rights)},
    )


def api_failure(url: str, status: int, kind: str, *, right: str = "") -> StoreError:
    """Return the error for an answer that is none of the expected ones.

    Args:
        url: the server.
        status: HTTP status, of the answer or of one item in it.
        kind: Elasticsearch's name of the error, such as "cluster_block_exception".
        right: the privilege that is missing, if the answer names it.
    """
    if status == _UNAUTHENTICATED:
        return StoreUnavailableError(
            "the server does not accept the credentials", where=url, hint="check store.elasticsearch.api_key_file"
        )
    if is_blocked(status, kind):
        return StoreUnavailableError(
            "the cluster is read-only or full", where=url, hint="free disk space, then remove the block of the index"
        )
    if status == _FORBIDDEN and right:
        return lacking_rights(url, [right])
    if status == _FORBIDDEN:
        return StoreUnavailableError(
            "the credentials lack a right", where=url, hint="docs/elasticsearch.md lists the rights of each role"
        )
    if status == TOO_MANY or status >= _SERVER_FAILED:
        kind_of_error = TooLargeError if kind == _BREAKER else StoreUnavailableError
        return kind_of_error(
            "the cluster is too busy or not whole ({kind})",
            where=url,
            hint="see `secmon doctor`",
            values={"kind": kind or status},
        )
    return StoreError(
        "Elasticsearch refused the request: {kind}",
        where=url,
        hint="please report this",
        values={"kind": kind or status},
    )


def is_answer_lost(error: StoreError) -> bool:
    """Tell whether a request may have been done although it failed: its answer never came, or it half failed."""
    cause = error.__cause__
    if isinstance(cause, ApiError):
        return int(cause.meta.status) >= _SERVER_FAILED
    return isinstance(cause, NoConnectionError | ConnectionTimeout) and not isinstance(cause, TlsError)


def is_blocked(status: int, kind: str) -> bool:
    """Tell whether an index was made read-only, by an operator or because its disk is full.

    It comes with the status of overload (429), but waiting a moment does not mend it. A cluster without a master has a
    block too (503), and mends itself.
    """
    return kind == _BLOCKED and status in {_FORBIDDEN, TOO_MANY}


def error_of(body: Any) -> str:
    """Return Elasticsearch's name of an error; its reason may quote a record and stays out of every message."""
    error = body.get("error") if isinstance(body, dict) else None
    kind = error.get("type") if isinstance(error, dict) else None
    if kind == "search_phase_execution_exception" and isinstance(error, dict):
        causes = error.get("root_cause") or [{}]
        kind = causes[0].get("type") or kind
    return kind if isinstance(kind, str) else ""
