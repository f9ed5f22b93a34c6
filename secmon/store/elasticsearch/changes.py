"""Changing one document under a condition, and knowing one's own change again when its answer got lost."""

import hashlib
import secrets
import threading
from collections import OrderedDict
from typing import Any, Final

import orjson

from secmon.errors import StoreUnavailableError
from secmon.store.elasticsearch.failures import CONFLICT, NOT_FOUND, is_answer_lost
from secmon.store.elasticsearch.gateway import Gateway

Source = dict[str, Any]

_ATTEMPTS: Final = 2
_REMEMBERED: Final = 1_000
"""Writes of which nobody knows whether they were done: a few while the cluster is away, never without bound."""


class Changes:
    """Writes documents of one index. Any thread may use it.

    A connection can break after a write was done and before its answer came. Done again, the write meets itself: the id
    is taken, the version is another. So each carries a token of its own, and a conflict with the own token is none. A
    write that was given up is remembered: done again by whoever waited for the cluster, it is known.

    Args:
        gateway: the way to the cluster.
        index: whose documents.
    """

    def __init__(self, gateway: Gateway, index: str) -> None:
        self._gateway = gateway
        self._index = index
        self._lock = threading.Lock()
        self._lost: OrderedDict[bytes, str] = OrderedDict()

    def put(self, identity: str, source: Source, **condition: Any) -> bool:
        """Write a document; return False if the condition does not hold.

        Raises:
            StoreUnavailableError: nobody knows whether it was done; the same call again does it at most once.
        """
        key = _key(identity, source)
        token = self._recall(key)
        repeated = token is not None
        token = token or secrets.token_hex(8)
        for _ in range(_ATTEMPTS):
            try:
                answer = self._gateway.write(
                    "PUT", self._path(identity), {**source, "token": token}, expect=(CONFLICT,), **condition
                )
            except StoreUnavailableError as error:
                lost = error
                if not is_answer_lost(error):
                    break
                repeated = True
            else:
                return answer.status != CONFLICT or (repeated and self._token_of(identity) == token)
        if repeated:
            self._remember(key, token)
        raise lost

    def was_done(self, identity: str, source: Source, token: str) -> bool:
        """Tell whether what is there under a token is this very write, whose answer got lost before."""
        return self._recall(_key(identity, source)) == token

    def _token_of(self, identity: str) -> str:
        answer = self._gateway.read("GET", self._path(identity), expect=(NOT_FOUND,), _source_includes="token")
        return str(answer.body.get("_source", {}).get("token", ""))

    def _path(self, identity: str) -> str:
        return f"/{self._index}/_doc/{identity}"

    def _remember(self, key: bytes, token: str) -> None:
        with self._lock:
            self._lost[key] = token
            while len(self._lost) > _REMEMBERED:
                self._lost.popitem(last=False)

    def _recall(self, key: bytes) -> str | None:
        with self._lock:
            return self._lost.pop(key, None)


def _key(identity: str, source: Source) -> bytes:
    return hashlib.sha256(identity.encode() + orjson.dumps(source, option=orjson.OPT_SORT_KEYS)).digest()
