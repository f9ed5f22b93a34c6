"""Backup, restore and schema of the store that the settings choose."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secmon.config import Settings
from secmon.errors import ConflictError, NotFoundError
from secmon.store.lock import WriterLock
from secmon.wiring.keys import require_keys
from secmon.wiring.opening import make_state
from secmon.wiring.stores import elasticsearch_settings, is_cluster

if TYPE_CHECKING:
    from secmon.store.elasticsearch.gateway import Gateway

_AUDIT_HEAD = "audit.head"
_COVERAGE_HEAD = "coverage.head"


def backup_store(settings: Settings, folder: Path, now: datetime) -> dict[str, Any]:
    """Copy the store into a new backup below a folder; keys are not copied. Of a cluster the nodes need the folder."""
    name = f"{settings['store.elasticsearch.prefix'] if is_cluster(settings) else 'secmon'}-{now:%Y%m%d-%H%M%S}"
    if is_cluster(settings):
        from secmon.store.elasticsearch.backup import backup  # noqa: PLC0415  only where it is chosen

        with _gateway(settings) as gateway:
            return backup(gateway, str(folder), name)
    from secmon.store.sqlite.backup import backup as copy  # noqa: PLC0415  only where it is chosen

    copy(settings.state, folder / name)
    return {"backup": name, "files": sum(one.is_file() for one in (folder / name).rglob("*"))}


def restore_store(settings: Settings, folder: Path, name: str) -> dict[str, Any]:
    """Bring a backup back where nothing is stored yet; the newest one if none is named. Its keys have to be there.

    Raises:
        ConflictError: something is stored there already.
        NotFoundError: there is no such backup.
        ConfigError: a key is missing.
    """
    require_keys(settings)
    make_state(settings.state)
    with WriterLock(settings.state / "writer.lock"):
        if is_cluster(settings):
            from secmon.store.elasticsearch.backup import restore  # noqa: PLC0415  only where it is chosen

            with _gateway(settings) as gateway:
                return restore(gateway, str(folder), name)
        return _restore_files(settings.state, folder, name)


def _restore_files(state: Path, folder: Path, name: str) -> dict[str, Any]:
    if (state / "control.db").exists() or any((state / "events").glob("*.db")):
        hint = "name another state folder, or move what is there away"
        raise ConflictError("the target holds something else", where=str(state), hint=hint)
    found = sorted(one.parent for one in folder.glob("secmon-*/control.db") if name in {"", one.parent.name})
    if not found:
        raise NotFoundError("there is no such backup", where=str(folder), hint="see the folder of the backups")
    chosen = found[-1]
    # Documents come last: an installation is there when they are.
    shutil.copytree(chosen / "events", state / "events", dirs_exist_ok=True)
    for file in (_AUDIT_HEAD, _COVERAGE_HEAD, "control.db"):
        if (chosen / file).exists():
            shutil.copy2(chosen / file, state / f".{file}.new")
            (state / f".{file}.new").replace(state / file)
    return {"restored": chosen.name, "files": sum(one.is_file() for one in chosen.rglob("*"))}


def migrate_store(settings: Settings) -> dict[str, Any]:
    """Bring the store to the schema of this program; return what was older."""
    with WriterLock(settings.state / "writer.lock"):
        if is_cluster(settings):
            from secmon.store.elasticsearch.schema import bring_forward  # noqa: PLC0415  only where it is chosen

            with _gateway(settings) as gateway:
                changed = bring_forward(gateway)
                gateway.install_templates()
                return {"migrated": changed}
        from secmon.store.sqlite.backup import migrate  # noqa: PLC0415  only where it is chosen

        return {"migrated": migrate(settings.state)}


def kibana_objects(settings: Settings) -> bytes:
    """Return the saved objects for Kibana; no cluster is asked."""
    from secmon.store.elasticsearch.kibana import saved_objects  # noqa: PLC0415  only where it is chosen
    from secmon.store.elasticsearch.naming import names_of  # noqa: PLC0415

    return saved_objects(names_of(settings["store.elasticsearch.prefix"]))


@contextmanager
def _gateway(settings: Settings) -> Iterator["Gateway"]:
    from secmon.store.elasticsearch.gateway import Gateway  # noqa: PLC0415  only where it is chosen

    with closing(Gateway(elasticsearch_settings(settings))) as gateway:
        yield gateway
