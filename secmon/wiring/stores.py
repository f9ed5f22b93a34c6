"""Which store, and the way to it. A store is imported where it is chosen: nobody needs the packages of the other."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from secmon.clock import SystemClock
from secmon.config import Settings
from secmon.errors import ConfigError
from secmon.model.access import job_access
from secmon.ports import EventLog, Records
from secmon.wiring import keys

if TYPE_CHECKING:
    from secmon.store.elasticsearch.gateway import ElasticsearchSettings

_MAX_CREDENTIAL = 4_096
_CREDENTIALS = ("store.elasticsearch.api_key_file", "store.elasticsearch.password_file")


@dataclass(frozen=True, slots=True)
class Store:
    """Both ports of one store.

    Args:
        log: events, hits and findings.
        records: documents.
        schema: version of the form in which this secmon stores.
        require_ready: raises what keeps it from taking what arrives on a day.
        require_known: refuses a store of a newer secmon, where opening it does not tell.
    """

    log: EventLog
    records: Records
    schema: int
    require_ready: Callable[[date], None] = lambda _day: None
    require_known: Callable[[], None] = lambda: None


def is_cluster(settings: Settings) -> bool:
    """Tell whether the store is a cluster, which may be away, and not the embedded one."""
    return bool(settings["store.kind"] == "elasticsearch")


def store_place(settings: Settings) -> str:
    """Return where the store is, for messages."""
    if is_cluster(settings):
        return f"{', '.join(settings['store.elasticsearch.urls'])} ({settings['store.elasticsearch.prefix']}-*)"
    return str(settings.state)


def is_store_made(settings: Settings) -> bool:
    """Tell whether anything was ever stored there.

    Raises:
        StoreError: the cluster does not tell.
        ConfigError: the way to the cluster cannot be right.
    """
    if not is_cluster(settings):
        return (settings.state / "control.db").exists()
    with _cluster(settings, writable=False) as store:
        return store.records.get(job_access("wiring"), keys.KIND, keys.ID) is not None


def require_store_ready(settings: Settings) -> None:
    """Make sure that the store would take what arrives now, without storing anything.

    Raises:
        StoreError: the cluster is away, is not what we need, or does not let us write.
        ConfigError: the way to the cluster cannot be right.
    """
    if is_cluster(settings):
        with _cluster(settings, writable=False) as store:
            store.require_ready(SystemClock().now().date())


@contextmanager
def opened_store(settings: Settings, *, writable: bool) -> Iterator[Store]:
    """Open the store and close it again; a cluster is not asked anything yet."""
    with _cluster(settings, writable=writable) if is_cluster(settings) else _embedded(settings, writable) as store:
        yield store


@contextmanager
def _embedded(settings: Settings, writable: bool) -> Iterator[Store]:  # noqa: FBT001  one of two private twins
    from secmon.store.sqlite.backup import migrate  # noqa: PLC0415  see above
    from secmon.store.sqlite.eventlog import SqliteEventLog  # noqa: PLC0415
    from secmon.store.sqlite.records import SqliteRecords  # noqa: PLC0415
    from secmon.store.sqlite.schema import VERSION  # noqa: PLC0415

    if writable:
        migrate(settings.state)
    with (
        closing(SqliteEventLog(settings.state / "events", writable=writable)) as log,
        closing(SqliteRecords(settings.state / "control.db", writable=writable)) as records,
    ):
        yield Store(log, records, VERSION)


@contextmanager
def _cluster(settings: Settings, *, writable: bool) -> Iterator[Store]:
    chosen = elasticsearch_settings(settings)
    from secmon.store.elasticsearch.diagnosis import require_ready  # noqa: PLC0415
    from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog  # noqa: PLC0415  see above
    from secmon.store.elasticsearch.gateway import Gateway  # noqa: PLC0415
    from secmon.store.elasticsearch.mapping import VERSION  # noqa: PLC0415
    from secmon.store.elasticsearch.records import ElasticsearchRecords  # noqa: PLC0415
    from secmon.store.elasticsearch.schema import require_known  # noqa: PLC0415

    with (
        closing(ElasticsearchEventLog(chosen, writable=writable)) as log,
        closing(ElasticsearchRecords(chosen, writable=writable)) as records,
        closing(Gateway(chosen)) as gateway,
    ):
        yield Store(log, records, VERSION, partial(require_ready, gateway), partial(require_known, gateway))


def elasticsearch_settings(settings: Settings) -> "ElasticsearchSettings":
    """Return where the cluster is and how to speak to it, credentials read from their files.

    Raises:
        ConfigError: the client is not installed, or a file of credentials cannot be used.
    """
    try:
        from secmon.store.elasticsearch.gateway import ElasticsearchSettings  # noqa: PLC0415  see above
        from secmon.store.elasticsearch.mapping import IndexSettings  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in {"elasticsearch", "elastic_transport"}:
            raise
        raise ConfigError(
            "the package for Elasticsearch is not installed",
            where="store.kind",
            hint="pip install 'secmon[elasticsearch]'",
        ) from error
    chosen = {key.removeprefix("store.elasticsearch."): value for key, value in settings.values.items()}
    return ElasticsearchSettings(
        urls=chosen["urls"],
        prefix=chosen["prefix"],
        ca=chosen["ca"],
        api_key=_credential(chosen["api_key_file"]),
        user=chosen["user"],
        password=_credential(chosen["password_file"]),
        timeout_s=chosen["timeout"].total_seconds(),
        indices=IndexSettings(
            shards=chosen["shards"], replicas=chosen["replicas"], refresh_interval=chosen["refresh_interval"]
        ),
    )


def credential_files(settings: Settings) -> list[Path]:
    """Return the files with credentials that the settings name."""
    return [settings[key] for key in _CREDENTIALS if settings[key] is not None]


def _credential(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_CREDENTIAL + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "the credentials cannot be read: {reason}",
            where=str(path),
            hint="check path, owner and mode",
            values={"reason": type(error).__name__},
        ) from error
    if not text or len(text) > _MAX_CREDENTIAL or not text.isprintable():
        raise ConfigError("the file does not hold one line of credentials", where=str(path), hint="write it again")
    return text
