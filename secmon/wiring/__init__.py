"""Settings to concrete collectors, stores, notifiers and writers: the only place that chooses."""

from secmon.wiring.content import (
    content_fields,
    document_problems,
    load_content,
    load_registers,
    load_rule_set,
    make_stages,
)
from secmon.wiring.demo import clear_demo_store
from secmon.wiring.documents import renderers
from secmon.wiring.keys import Keys, key_paths, load_keys
from secmon.wiring.opening import opened, spool_of
from secmon.wiring.sources import collectors_of, sources_of
from secmon.wiring.stores import (
    credential_files,
    elasticsearch_settings,
    is_cluster,
    is_store_made,
    require_store_ready,
    store_place,
)
from secmon.wiring.texts import Texts, read_texts

__all__ = [
    "Keys",
    "Texts",
    "clear_demo_store",
    "collectors_of",
    "content_fields",
    "credential_files",
    "document_problems",
    "elasticsearch_settings",
    "is_cluster",
    "is_store_made",
    "key_paths",
    "load_content",
    "load_keys",
    "load_registers",
    "load_rule_set",
    "make_stages",
    "opened",
    "read_texts",
    "renderers",
    "require_store_ready",
    "sources_of",
    "spool_of",
    "store_place",
]
