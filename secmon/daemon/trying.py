"""A process of its own that tries other rules, so that neither ingest nor the daemon depends on how that ends.

Compiling thousands of rules takes seconds, and rules come from strangers: what goes wrong there ends that process.
"""

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection

from secmon.config import Settings
from secmon.errors import ContentError, SecmonError, StoreUnavailableError
from secmon.wiring import Keys
from secmon.wiring.renewing import Trial, Verdict, tried

TIMEOUT_S = 600.0
_POLL_S = 0.1
_NICE = 5


def tried_apart(settings: Settings, trial: Trial, keys: Keys, *, stopping: threading.Event) -> Verdict:
    """Do `wiring.renewing.tried` in a process of its own.

    Args:
        settings: the daemon's settings.
        trial: what is tried.
        keys: the keys at hand.
        stopping: ends it at once.

    Raises:
        ContentError: what `tried` refuses; or the process died, or took ten minutes.
        StoreUnavailableError: the daemon stops.
    """
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_try, args=(writer, settings, trial, keys), name="rules", daemon=True)
    process.start()
    writer.close()
    try:
        return _answer(reader, stopping)
    finally:
        process.kill()
        process.join()
        reader.close()


def _answer(reader: Connection, stopping: threading.Event) -> Verdict:
    waited_s = 0.0
    while not reader.poll(_POLL_S):
        waited_s += _POLL_S
        if stopping.is_set():
            raise StoreUnavailableError("the daemon stops", hint="run the command again later")
        if waited_s > TIMEOUT_S:
            raise ContentError("the rules take longer than ten minutes to prepare", hint="secmon rules cost")
    try:
        answer = reader.recv()
    except EOFError:
        raise ContentError("the process that tried the rules died", hint="watch memory; secmon rules list") from None
    if isinstance(answer, SecmonError):
        raise answer
    found: Verdict = answer
    return found


def _try(writer: Connection, settings: Settings, trial: Trial, keys: Keys) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICE)  # what comes in goes before
    try:
        answer: Verdict | SecmonError = tried(settings, trial, keys)
    except SecmonError as error:
        answer = error
    writer.send(answer)
