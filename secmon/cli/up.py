"""`secmon up`: daemon and console in one process."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import click
import structlog

from secmon.app.installation import Installation
from secmon.cli.output import flush, write_json
from secmon.cli.session import Session, session
from secmon.errors import ContentError


@click.command
@click.option("--once", is_flag=True, help="Read what is there, do all windows that are due, and end.")
@click.option("--strict", is_flag=True, help="Exit status 4 if a rule, classifier, playbook or catalogue is broken.")
@click.pass_context
def up(ctx: click.Context, *, once: bool, strict: bool) -> None:
    """Run the daemon and the console until SIGTERM or SIGINT.

    On readiness one JSON line goes to standard output; a cluster that is away is waited for, and /readyz says why.
    SIGHUP puts in force what the rule files say now; see secmon rules reload.
    The first start prints a one-time link for the first administrator, valid for 15 minutes.

    Example: secmon up --config /etc/secmon/secmon.toml
    """
    from secmon.app.work import InlineWork, Work  # noqa: PLC0415  lazily: other commands start fast
    from secmon.clock import SystemClock  # noqa: PLC0415
    from secmon.daemon.jobs import Jobs  # noqa: PLC0415
    from secmon.daemon.logs import log_to_stderr  # noqa: PLC0415
    from secmon.daemon.renewing import Renewal  # noqa: PLC0415
    from secmon.daemon.service import Daemon  # noqa: PLC0415
    from secmon.daemon.stopping import stop_signals  # noqa: PLC0415
    from secmon.daemon.workers import pool_of  # noqa: PLC0415
    from secmon.web.server import ConsoleServer  # noqa: PLC0415
    from secmon.wiring import collectors_of, key_paths, opened, read_texts  # noqa: PLC0415

    here = session(ctx)
    settings = here.settings
    log_to_stderr(quiet=here.quiet)
    with ExitStack() as stack:
        until_stopped = None if once else stack.enter_context(stop_signals())
        texts = read_texts(settings)
        house = stack.enter_context(opened(settings, writable=True, patient=not once, texts=texts))
        _name_problems(house.problems, strict=strict)
        work: Work = InlineWork(house.stages)
        if settings["secmon.workers"] and not once:
            work = pool_of(settings, texts, house.ruleset.digest, workers=settings["secmon.workers"])
        collectors = collectors_of(settings, SystemClock(), **({"settle_s": 0.0} if once else {}))
        jobs = Jobs(settings, texts)
        for close in (jobs.close, *(collector.close for collector in collectors)):
            stack.callback(close)
        daemon = Daemon(
            replace(house, aside=jobs.run),
            collectors,
            work,
            state=settings.state,
            key_files=key_paths(settings),
            takes_all=once,
            renewal=None if once else Renewal(settings, texts, jobs),
        )
        stack.callback(daemon.close)
        if until_stopped is None:
            daemon.run_once()
            return
        console = ConsoleServer(daemon, *settings["console.listen"], hosts=settings["console.hosts"])
        daemon.start()
        stack.callback(daemon.stop)
        console.start()
        stack.callback(console.stop)
        daemon.admission.then(lambda: _welcome(here, house, url=console.url, pid=console.pid))
        until_stopped(daemon.reload)


def _welcome(here: Session, house: Installation, *, url: str, pid: int) -> None:
    """Say that everything runs, and how the first administrator gets in."""
    from secmon.app.users import invite_first  # noqa: PLC0415  lazily: other commands start fast

    if token := invite_first(house):
        note = here.words("first administrator (one use, valid for 15 minutes)")
        click.echo(f"{note}: {url}setup?token={token}", err=True)
    write_json({"ready": True, "url": url, "pid": pid})
    flush()


def _name_problems(found: Sequence[str], *, strict: bool) -> None:
    """Log what is wrong with content; the rest goes on without it.

    Raises:
        ContentError: there is something, and `strict`.
    """
    for problem in found:
        structlog.get_logger().warning("content", problem=problem)
    if strict and found:
        raise ContentError("content is broken: see the lines above", hint="secmon doctor")
