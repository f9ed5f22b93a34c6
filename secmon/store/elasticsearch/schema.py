"""The version of mappings: what an older one has becomes current, a newer one is refused.

A template is put anew at every start, so that partitions of tomorrow are current. An index that is there already gets
what can be added to it; its documents stay as they are. A field that came to the table of fields later lies in
`store.rest` of older documents: a question looks in both places (`fields.ADDED`), so that no answer is a silent 0.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from secmon.errors import StoreError, StoreUnavailableError
from secmon.store.elasticsearch import mapping
from secmon.store.elasticsearch.failures import BAD_REQUEST, error_of
from secmon.store.elasticsearch.naming import KINDS, Names

CHANGE_MAPPINGS: Final = "indices:admin/mapping/put"
"""The right to do so, which no coarser privilege grants without the right to remove indices."""
_META: Final = "*.mappings._meta"


class _Answer(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def body(self) -> dict[str, Any]: ...


class Server(Protocol):
    """What is needed of the `Gateway`, which itself brings indices forward."""

    names: Names
    url: str

    def has_right(self, right: str) -> bool:
        """Tell whether the credentials have a right on our indices."""
        ...

    def read(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, expect: Sequence[int] = (), **params: Any
    ) -> _Answer:
        """Ask something."""
        ...

    def write(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, expect: Sequence[int] = (), **params: Any
    ) -> _Answer:
        """Change something."""
        ...


def require_known(gateway: Server) -> None:
    """Refuse indices of a newer secmon: it may keep there what we would not find.

    Raises:
        StoreError: there are such.
    """
    newest = max(_versions(gateway).values(), default=0)
    if newest > mapping.VERSION:
        raise StoreError(
            "the indices were made by a newer secmon (schema {found}, known {known})",
            where=gateway.url,
            hint="install that version again",
            values={"found": newest, "known": mapping.VERSION},
        )


def bring_forward(gateway: Server) -> list[str]:
    """Add to older indices what the current mapping has more; return their names.

    Raises:
        StoreError: there are indices of a newer secmon, or one does not take what is new.
        StoreUnavailableError: the right to change them is missing.
    """
    require_known(gateway)
    older = sorted(index for index, version in _versions(gateway).items() if version < mapping.VERSION)
    # Asked beforehand: 8.x still lets who may write do it, with a warning; 9.x does not.
    if older and not gateway.has_right(CHANGE_MAPPINGS):
        raise StoreUnavailableError(
            "the indices are of an older secmon, and these credentials may not change them",
            where=gateway.url,
            hint="run `secmon store migrate` with the role that sets up (docs/elasticsearch.md)",
        )
    for index in older:
        answer = gateway.write("PUT", f"/{index}/_mapping", _addition(gateway, index), expect=(BAD_REQUEST,))
        if answer.status == BAD_REQUEST:
            raise StoreError(
                "an index cannot be brought to the current schema: {kind}",
                where=index,
                hint="please report this",
                values={"kind": error_of(answer.body)},
            )
    return older


def _addition(gateway: Server, index: str) -> dict[str, Any]:
    names = gateway.names
    kind = next((kind for kind in KINDS if index.startswith(f"{names.alias(kind)}-")), None)
    return mapping.mapping_of(kind or ("batches" if index == names.batches else "records"))


def _versions(gateway: Server) -> dict[str, int]:
    """Return index → version of its mapping, of the indices that are ours."""
    answer = gateway.read("GET", f"/{gateway.names.everything}/_mapping", filter_path=_META, ignore_unavailable="true")
    return {index: mapping.schema_of(found["mappings"].get("_meta")) for index, found in answer.body.items()}
