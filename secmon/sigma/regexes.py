"""Regular expressions of rules: RE2, whose time is linear in the value, whatever the rule's author wrote."""

from functools import lru_cache
from typing import Any

import re2

from secmon.sigma.values import readable_utf8


@lru_cache(maxsize=8192)
def compiled(expression: str, flags: str) -> Any:  # re2 publishes no types
    """Return the RE2 object of an expression with a subset of the flags "ims".

    Raises:
        ValueError: RE2 refuses it; the message says why.
    """
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        return re2.compile((f"(?{flags})" if flags else "") + expression, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "refused"
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds a lone surrogate") from error


def finds(expression: str, flags: str, text: str) -> bool:
    """Tell whether RE2 finds the expression somewhere in a text."""
    return compiled(expression, flags).search(readable_utf8(text)) is not None
