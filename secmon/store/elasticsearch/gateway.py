"""The way to the cluster: every request goes through here, with a time-out, and its failures become our own errors."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple

from elasticsearch import ApiError, Elasticsearch

from secmon.errors import StoreError, StoreUnavailableError
from secmon.store.elasticsearch.connection import ElasticsearchSettings, client_of, without_secrets
from secmon.store.elasticsearch.failures import BAD_REQUEST, NOT_FOUND, error_of, lacking_rights, store_errors
from secmon.store.elasticsearch.mapping import single_index, template
from secmon.store.elasticsearch.naming import KINDS, Kind, Names, names_of
from secmon.store.elasticsearch.schema import bring_forward
from secmon.store.partition_name import PartitionName

MINIMUM_SERVER = (8, 19)
_READ_ATTEMPTS = 2
_JSON = {"Accept": "application/json", "Content-Type": "application/json"}
_LINES = {"Accept": "application/json", "Content-Type": "application/x-ndjson"}
_EXISTS = "resource_already_exists_exception"
# Rights on our indices without which requests that name several of them pass over those that are forbidden, in silence:
# a search would find too little, a removal would remove nothing. They are asked for beforehand.
READING: Final = ("read", "maintenance", "monitor", "view_index_metadata")
WRITING: Final = (*READING, "write", "create_index", "delete_index")
# What a server whose security is switched off answers when it is asked about rights.
_NO_SECURITY: Final = (BAD_REQUEST, NOT_FOUND, 405, 500)

Body = dict[str, Any]


__all__ = ["READING", "WRITING", "Answer", "Body", "ElasticsearchSettings", "Gateway"]


class Answer(NamedTuple):
    """HTTP status and JSON body of an answer, and the seconds after which to come again, if it names them."""

    status: int
    body: Body
    retry_after_s: float | None = None


# What a search may take beyond its time-out before its connection is closed.
_GRACE_S = 1.0


class _Request(NamedTuple):
    method: str
    path: str
    body: Body | bytes | None
    headers: Mapping[str, str]
    params: Mapping[str, Any]


class Gateway:
    """One process's way to a cluster; any thread may use it.

    Raises:
        ConfigError: a setting cannot be right.
    """

    def __init__(self, settings: ElasticsearchSettings) -> None:
        self.names: Names = names_of(settings.prefix)
        self.url = ", ".join(map(without_secrets, settings.urls))
        self.timeout_s = settings.timeout_s
        self._settings = settings
        self._client = client_of(settings)
        self._reader = self._client.options(max_retries=_READ_ATTEMPTS)
        self._lock = threading.Lock()
        self._version_known = False
        self._made: set[str] = set()
        self._granted: set[str] = set()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def read(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        expect: Sequence[int] = (),
        wait_s: float | None = None,
        **params: Any,
    ) -> Answer:
        """Ask something that may be asked twice; another node is tried if one is gone.

        Args:
            method: HTTP method.
            path: path, its variable parts quoted.
            body: JSON body.
            expect: statuses that are an answer and no failure.
            wait_s: how long to wait for the answer of one attempt; None for the usual time-out and attempts.
            params: of the query.
        """
        client = self._reader if wait_s is None else self._client.options(request_timeout=wait_s)
        return self._ask(client, _Request(method, path, body, _JSON, params), expect)

    def write(
        self, method: str, path: str, body: Body | None = None, *, expect: Sequence[int] = (), **params: Any
    ) -> Answer:
        """Change something, exactly one attempt; arguments as in `read`."""
        return self._ask(self._client, _Request(method, path, body, _JSON, params), expect)

    def lines(self, path: str, body: bytes, *, expect: Sequence[int] = (), **params: Any) -> Answer:
        """Send JSON lines, such as a bulk request, exactly one attempt."""
        return self._ask(self._client, _Request("POST", path, body, _LINES, params), expect)

    def refresh(self, index: str) -> None:
        """Make what was written to an index or alias visible to searches; costs nothing if nothing was.

        Raises:
            StoreUnavailableError: a shard of it did not do so: a search would find too little.
        """
        self.check_rights(READING)
        answer = self.read("POST", f"/{index}/_refresh", expect=(NOT_FOUND,))
        if answer.status != NOT_FOUND and answer.body["_shards"]["failed"]:
            raise StoreUnavailableError(
                "the cluster is too busy or not whole ({kind})",
                where=self.url,
                hint="see `secmon doctor`",
                values={"kind": "refresh"},
            )

    def wait_for(self, index: str) -> None:
        """Wait a while until the primary shards of an index are there."""
        self.read("GET", f"/_cluster/health/{index}", expect=(408,), wait_for_status="yellow", timeout="2s")

    def ensure_partition(self, partition: PartitionName, kinds: Sequence[Kind]) -> None:
        """Make the indices of a partition that this process has not seen yet."""
        missing = [index for kind in kinds if (index := self.names.index(kind, partition)) not in self._made]
        if missing:
            self.prepare_writing()
            _at_once([partial(self._make, index, {}) for index in missing])

    def remove_partition(self, partition: PartitionName) -> None:
        """Remove the indices of a partition, as far as they are there: by one request, if all are."""
        indices = [self.names.index(kind, partition) for kind in KINDS]
        with self._lock:
            self._made.difference_update(indices)
        # Not `ignore_unavailable`: it would pass over what the credentials may not remove.
        if self.read("DELETE", f"/{','.join(indices)}", expect=(NOT_FOUND,)).status == NOT_FOUND:
            for index in indices:
                self.read("DELETE", f"/{index}", expect=(NOT_FOUND,))

    def prepare_writing(self) -> None:
        """Make sure that this process may write, and has where to.

        Raises:
            StoreUnavailableError: a right is missing.
            StoreError: the server is too old.
        """
        self.check_rights(WRITING)
        self.install()

    def install(self) -> None:
        """Bring the templates and the two single indices up to date, once in the life of this process.

        Raises:
            StoreError: the server is too old.
        """
        self.check_version()
        with self._lock:
            if self.names.batches in self._made:
                return
        bring_forward(self)
        chosen = self._settings.indices
        single = (self.names.records, self.names.batches)
        _at_once(
            [
                *(partial(self._put_template, kind, template(self.names, kind, chosen)) for kind in KINDS),
                *(partial(self._make, index, single_index(self.names, index, chosen)) for index in single),
            ]
        )

    def install_templates(self) -> None:
        """Put the templates of partition indices as this program makes them."""
        for kind in KINDS:
            self._put_template(kind, template(self.names, kind, self._settings.indices))

    @property
    def replicas(self) -> int:
        """Copies beside each primary shard."""
        return self._settings.indices.replicas

    def _put_template(self, kind: Kind, body: Body) -> None:
        """Install a template, unless it is there as it should be: then the right to do so is not needed."""
        if not self._is_installed(kind, body):
            self.write("PUT", f"/_index_template/{self.names.alias(kind)}", body)

    def _is_installed(self, kind: Kind, body: Body) -> bool:
        path = f"/_index_template/{self.names.alias(kind)}"
        answer = self.read("GET", path, expect=(NOT_FOUND,), filter_path="index_templates.index_template._meta")
        return [{"index_template": {"_meta": body["_meta"]}}] == answer.body.get("index_templates")

    def holds_anything(self) -> bool:
        """Tell whether there is any index of this installation."""
        return bool(self._indices())

    def remove_everything(self) -> None:
        """Remove all indices and templates of this installation: for tests, and for an operator who leaves."""
        found = self._indices()
        if found:
            self.write("DELETE", f"/{','.join(found)}", expect=(NOT_FOUND,))
        for kind in KINDS if found else ():
            self.write("DELETE", f"/_index_template/{self.names.alias(kind)}", expect=(NOT_FOUND,))
        with self._lock:
            self._made.clear()

    def _indices(self) -> list[str]:
        path = f"/{self.names.everything}"
        return sorted(self.read("GET", path, ignore_unavailable="true", filter_path="*.aliases").body)

    def check_version(self) -> None:
        """Refuse a server that is too old, as far as our rights let us see its version.

        Raises:
            StoreError: it is older than `MINIMUM_SERVER`.
        """
        if self._version_known:
            return
        answer = self.read("GET", "/_nodes/_all/none", expect=(403,), filter_path="nodes.*.version")
        for node in answer.body.get("nodes", {}).values():
            version = str(node["version"])
            if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_SERVER:
                raise StoreError(
                    "Elasticsearch {version} is too old",
                    where=self.url,
                    hint="8.19 or newer is needed",
                    values={"version": version},
                )
        self._version_known = True

    def check_rights(self, rights: Sequence[str]) -> None:
        """Refuse credentials that lack a right on our indices; each is asked for once in the life of this process.

        Raises:
            StoreUnavailableError: it names what is missing.
        """
        if self._settings.has_credentials and not self._granted.issuperset(rights):
            self._require(["monitor"], rights)
            self._granted.update(rights)

    def require_all_rights(self) -> None:
        """Refuse credentials that lack, at this moment, a right that writing needs.

        Raises:
            StoreUnavailableError: it names what is missing.
        """
        if self._settings.has_credentials:
            self._require(["monitor"], WRITING)
            chosen = self._settings.indices
            if not all(self._is_installed(kind, template(self.names, kind, chosen)) for kind in KINDS):
                self._require(["manage_index_templates"], ["create_index"])

    def has_right(self, right: str) -> bool:
        """Tell whether the credentials have a right on our indices at this moment."""
        return not (self._settings.has_credentials and self._missing([], [right]))

    def _require(self, cluster: Sequence[str], rights: Sequence[str]) -> None:
        if missing := self._missing(cluster, rights):
            raise lacking_rights(self.url, missing)

    def _missing(self, cluster: Sequence[str], rights: Sequence[str]) -> list[str]:
        pattern = f"{self.names.prefix}-*"
        body: Body = {"cluster": list(cluster), "index": [{"names": [pattern], "privileges": list(rights)}]}
        answer = self.read("POST", "/_security/user/_has_privileges", body, expect=_NO_SECURITY)
        if answer.status in _NO_SECURITY:
            return []
        missing = [right for right in rights if not answer.body["index"][pattern][right]]
        return missing + [f"cluster:{right}" for right in cluster if not answer.body["cluster"][right]]

    def _make(self, index: str, body: Body) -> None:
        answer = self.write("PUT", f"/{index}", body, expect=(BAD_REQUEST,))
        if answer.status == BAD_REQUEST and error_of(answer.body) != _EXISTS:
            raise StoreError(
                "an index cannot be made: {kind}",
                where=self.url,
                hint="see the log of the cluster",
                values={"kind": error_of(answer.body)},
            )
        with self._lock:
            self._made.add(index)

    def _ask(self, client: Elasticsearch, request: _Request, expect: Sequence[int]) -> Answer:
        with store_errors(self.url):
            try:
                response = client.perform_request(
                    request.method, request.path, params=request.params, headers=request.headers, body=request.body
                )
            except ApiError as error:
                if error.meta.status in expect:
                    body = error.body if isinstance(error.body, dict) else {}
                    return Answer(error.meta.status, body, _seconds(error.meta.headers.get("retry-after")))
                raise
        answer = response.body
        if not isinstance(answer, dict):
            raise StoreError(
                "the server does not answer in JSON", where=self.url, hint="check store.elasticsearch.urls"
            )
        return Answer(response.meta.status, answer)

    def search(self, path: str, body: Body, *, timeout_s: float | None = None) -> Body | None:
        """Search; None if an index of it was dropped meanwhile.

        Args:
            path: of the search.
            body: its JSON.
            timeout_s: most time, one attempt; None for the usual time-out of this gateway.

        Raises:
            StoreUnavailableError: not every shard answered in time: half an answer is none.
        """
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        body = {"timeout": f"{max(1, int(limit_s * 1000))}ms", "track_total_hits": False, **body}
        # The server looks at its clock now and then only; a connection that is closed cancels the search.
        wait_s = None if timeout_s is None else timeout_s + _GRACE_S
        answer = self.read("POST", path, body, expect=(NOT_FOUND,), wait_s=wait_s, allow_partial_search_results="false")
        if answer.status == NOT_FOUND:
            return None
        if answer.body["timed_out"] or answer.body["_shards"]["failed"]:
            raise StoreUnavailableError("a search did not end in time", where=self.url, hint="ask for less, or later")
        return answer.body


def _at_once(changes: Sequence[Callable[[], None]]) -> None:
    """Make changes to the cluster's state side by side: the master joins them into few updates."""
    if len(changes) == 1:
        changes[0]()
        return
    with ThreadPoolExecutor(len(changes)) as threads:
        list(threads.map(lambda change: change(), changes))


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a Retry-After (RFC 9110 §10.2.3); its other form, a date, rests on two clocks."""
    return float(text) if text is not None and text.isdecimal() else None
