"""Regular expressions of rules: RE2, whose time is linear in the value, whatever the rule's author wrote.

RE2 walks a value with a DFA whose states it makes as it goes, and where they do not fit into its memory with an NFA,
which tries at worst every step of its program at every byte (7 nanoseconds a step). So steps are bounded
(`limits.py`), and memory is given by them: repetitions that count need states in the square of their steps.
"""

from functools import lru_cache
from typing import Any

import re2

from secmon.sigma.values import readable_utf8

_LEAST_MEMORY, _MOST_MEMORY = 256 << 10, 8 << 20


@lru_cache(maxsize=8192)
def compiled(expression: str, flags: str) -> Any:  # re2 publishes no types
    """Return the RE2 object of an expression with a subset of the flags "ims".

    Raises:
        ValueError: RE2 refuses it; the message says why.
    """
    text = (f"(?{flags})" if flags else "") + expression
    try:
        steps = _made(text, _MOST_MEMORY).programsize
        return _made(text, min(_MOST_MEMORY, _LEAST_MEMORY + 8 * steps * steps))
    except re2.error as error:
        reason = error.args[0] if error.args else "refused"
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds a lone surrogate") from error


def steps_of(expression: str, flags: str) -> int:
    """Return the number of steps of an expression's program.

    Raises:
        ValueError: RE2 refuses it.
    """
    return int(compiled(expression, flags).programsize)


def _made(text: str, memory: int) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = memory
    return re2.compile(text, options)


def finds(expression: str, flags: str, text: str) -> bool:
    """Tell whether RE2 finds the expression somewhere in a text."""
    return compiled(expression, flags).search(readable_utf8(text)) is not None
