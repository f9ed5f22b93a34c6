"""The demo's place on a cluster: indices of its own, cleared before each run, and nobody else's."""

from contextlib import closing

from secmon.config import Settings
from secmon.errors import ConfigError
from secmon.model.access import job_access
from secmon.model.record import Document
from secmon.wiring.keys import KIND
from secmon.wiring.stores import elasticsearch_settings, is_cluster, store_place

_MARKER = "demo"
"""Id of the document that says that the indices are the demo's."""


def clear_demo_store(settings: Settings) -> None:
    """Remove what an earlier demo left on the cluster and mark the place as the demo's; a folder needs none of it.

    Raises:
        ConfigError: indices of these names are there, and no demo made them.
        StoreError: the cluster cannot be reached or does not let us.
    """
    if not is_cluster(settings):
        return
    chosen = elasticsearch_settings(settings)
    from secmon.store.elasticsearch.gateway import Gateway  # noqa: PLC0415  only where it is chosen
    from secmon.store.elasticsearch.records import ElasticsearchRecords  # noqa: PLC0415

    access = job_access("demo")
    with closing(Gateway(chosen)) as gateway, closing(ElasticsearchRecords(chosen, writable=True)) as records:
        if records.get(access, KIND, _MARKER) is not None:
            gateway.remove_everything()
        elif gateway.holds_anything():
            hint = "name another folder with --out"
            raise ConfigError("these indices are not the demo's", where=store_place(settings), hint=hint)
    with closing(ElasticsearchRecords(chosen, writable=True)) as records:  # anew: it remembers what it has made
        records.create(access, Document(kind=KIND, id=_MARKER, body={}))
