"""`secmon doctor`: what is wrong with this installation, and what to do about it."""

from collections.abc import Callable
from contextlib import suppress

import click

from secmon.cli.output import flush, words, write_json
from secmon.cli.session import Session, flags, user_name
from secmon.cli.shared import color, shared
from secmon.config import Settings, missing, read_settings
from secmon.daemon import health
from secmon.daemon.control import HEALTH, NoDaemonError, request
from secmon.daemon.health import Check, guarded
from secmon.errors import ConfigError, StoreError

EXIT_NOT_READY = 4
_SAME_BACKUP = "documents (control.db, *-records) and events must come from the same backup"


@click.command
@click.option("--json", "as_json", is_flag=True, help="JSON Lines.")
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> int:
    """Check everything secmon rests on; exit 4 if something fails.

    Example: secmon doctor --json
    """
    settings, errors = read_settings(shared(ctx).get("config"), flags=flags(ctx))
    errors += missing(settings)
    shared(ctx)["lang"] = settings["secmon.lang"]
    checks = _checks(settings, errors)
    if as_json:
        for check in checks:
            write_json(check.row())
        flush()
    else:
        here = Session(settings, color=color(ctx), words=words(ctx))
        rows = (
            (one.check, here.words(one.state), here.message(one.detail), here.message(one.remedy)) for one in checks
        )
        here.table(("check", "condition", "seen", "what to do"), rows)
    return EXIT_NOT_READY if any(one.state == "fail" for one in checks) else 0


def _checks(settings: Settings, errors: list[ConfigError]) -> list[Check]:
    # After the checks that explain why it cannot be imported.
    from secmon.wiring import credential_files, is_cluster, key_paths  # noqa: PLC0415

    steps: dict[str, Callable[[], Check]] = {
        "python": health.python_version,
        "sqlite_version": health.sqlite_version,
        "hyperscan": health.hyperscan,
        "fonts": lambda: _fonts(settings),
        "config": lambda: health.problems("config", [str(error) for error in errors], "no errors"),
        "content": lambda: _content(settings),
        "keys": lambda: health.keys(key_paths(settings)),
        "credentials": lambda: health.credentials(credential_files(settings)),
        "disk_space": lambda: health.disk_space(settings.state),
        "writer_lock": lambda: _writer_lock(settings),
        "store": lambda: _store(settings),
        "console": lambda: _console(settings),
        "reading": lambda: _of_daemon(settings, "reading"),
        "scheduler": lambda: _of_daemon(settings, "scheduler"),
        "correlations": lambda: _of_daemon(settings, "correlations"),
        "rules": lambda: _of_daemon(settings, "rules"),
        "tuning": lambda: _of_daemon(settings, "tuning"),
        "spool": lambda: _spool(settings),
        "sources": lambda: _sources(settings),
        "retention": lambda: _retention(settings),
        "clock": lambda: _clock(settings),
        "java": health.java,
    }
    if is_cluster(settings):
        steps |= {
            "daemons": lambda: _of_daemon(settings, "daemons"),
        }
    return [guarded(name, step) for name, step in steps.items()]


def _fonts(settings: Settings) -> Check:
    from secmon.render.fonts import font_report  # noqa: PLC0415

    rows = font_report(settings["documents.fonts"])
    used = "、".join(f"{row.role.value}: {row.family}" for row in rows)
    if any(row.substituted for row in rows):
        remedy = "put the office's fonts into a folder and name it in [documents] fonts"
        return Check("fonts", "warn", used, remedy)
    return Check("fonts", "ok", used)


def _content(settings: Settings) -> Check:
    from secmon.classify.definition import load_definitions  # noqa: PLC0415
    from secmon.content import classifier_files  # noqa: PLC0415
    from secmon.wiring import document_problems, load_registers, load_rule_set  # noqa: PLC0415

    ruleset, problems = load_rule_set(settings)
    files, file_errors = classifier_files(settings["content.classifiers"])
    definitions, definition_errors = load_definitions(files)
    _, register, register_errors = load_registers(settings)
    problems += [str(error) for error in (*file_errors, *definition_errors, *register_errors)]
    problems += document_problems(settings)
    good = f"{len(ruleset.by_id)} rules, {len(definitions)} classifiers, {len(register.assets)} assets"
    if not ruleset.by_id or not definitions:
        return Check("content", "fail", (problems or ["nothing could be loaded"])[0], "reinstall, or see [content]")
    return health.problems("content", problems, good, state="warn", remedy="secmon rules list shows every rule")


def _writer_lock(settings: Settings) -> Check:
    from secmon.store.lock import holder, is_held  # noqa: PLC0415

    path = settings.state / "writer.lock"
    if path.exists() and is_held(path):
        return Check("writer_lock", "ok", f"held by process {holder(path)}")
    return Check("writer_lock", "ok", "free")


def _console(settings: Settings) -> Check:
    """Passwords and cookies cross the network in the clear where the console is reached without TLS before it."""
    from secmon.web.guard import is_loopback  # noqa: PLC0415  after the checks that explain why it cannot be imported

    host, port = settings["console.listen"]
    if is_loopback(host):
        return Check("console", "ok", f"{host}:{port}")
    remedy = "listen on 127.0.0.1 and put a reverse proxy with TLS before it, see docs/operations.md"
    return Check("console", "warn", "it listens beyond this machine, and speaks no TLS itself", remedy)


def _of_daemon(settings: Settings, name: str) -> Check:
    """What only the running daemon knows of itself; /readyz and the console show the same."""
    try:
        rows = request(settings.state, HEALTH, {}, by=user_name())
    except NoDaemonError:
        return Check(name, "not_run", "no daemon runs on this state folder")
    found = next((Check(**row) for row in rows if row["check"] == name), None)
    return found or Check(name, "not_run", "the running daemon is of another version", "restart secmon up")


def _store(settings: Settings) -> Check:
    from secmon.app import checkpoints  # noqa: PLC0415
    from secmon.model.access import job_access  # noqa: PLC0415
    from secmon.wiring import is_store_made, opened, require_store_ready, store_place  # noqa: PLC0415

    require_store_ready(settings)
    if not is_store_made(settings):
        if settings["store.kind"] == "sqlite" and any((settings.state / "events").glob("*.db")):
            return Check("store", "fail", "events without control.db", _SAME_BACKUP)
        return Check("store", "ok", f"nothing stored yet in {store_place(settings)}")
    with opened(settings, writable=False, content=False) as house:
        found = house.log.check(job_access("doctor"))
        partitions = house.log.partitions(job_access("doctor"))
        known = checkpoints.load_all(house, job_access("doctor"))
    if not known and any(one.events for one in partitions):
        return Check("store", "fail", "the documents know nothing of the events", _SAME_BACKUP)
    size = sum(one.bytes for one in partitions)
    return health.problems("store", found, f"{len(partitions)} partitions, {size / 2**20:.1f} MiB")


def _spool(settings: Settings) -> Check:
    from secmon.store.vault import open_vault  # noqa: PLC0415
    from secmon.wiring import spool_of  # noqa: PLC0415

    of_daemon = _of_daemon(settings, "spool")
    if of_daemon.state != "not_run":
        return of_daemon
    if not (settings.state / "spool").exists():
        return Check("spool", "ok", "empty")
    return health.spool(spool_of(settings, open_vault(settings["keys.vault_file"]), writable=False))


def _sources(settings: Settings) -> Check:
    from secmon.clock import SystemClock  # noqa: PLC0415
    from secmon.model.access import job_access  # noqa: PLC0415
    from secmon.wiring import collectors_of  # noqa: PLC0415

    if not settings.sources:
        return Check("sources", "warn", "no source is configured", "add [[sources]] to the settings")
    access, found = job_access("doctor"), []
    for collector in collectors_of(settings, SystemClock()):
        collector.streams(access, [])
        found += collector.problems()
    return health.problems("sources", found, f"{len(settings.sources)} sources")


def _retention(settings: Settings) -> Check:
    from secmon.app.retention import review  # noqa: PLC0415
    from secmon.model.access import job_access  # noqa: PLC0415
    from secmon.wiring import is_store_made, opened  # noqa: PLC0415

    if not is_store_made(settings):
        return Check("retention", "ok", "nothing stored yet")
    with opened(settings, writable=False, content=False) as house:
        return health.retention(review(house, job_access("doctor")))


def _clock(settings: Settings) -> Check:
    from secmon.app import checkpoints  # noqa: PLC0415
    from secmon.clock import SystemClock  # noqa: PLC0415
    from secmon.model.access import job_access  # noqa: PLC0415
    from secmon.wiring import opened  # noqa: PLC0415

    last = None
    with suppress(ConfigError, StoreError), opened(settings, writable=False, content=False) as house:
        known = checkpoints.load_all(house, job_access("doctor"))
        last = max((one.last_received for one in known if one.last_received), default=None)
    return health.clock(SystemClock().now(), last)
