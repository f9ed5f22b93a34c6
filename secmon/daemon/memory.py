"""Giving memory back after something large took the place of another, such as thousands of rules."""

import ctypes
import gc


def give_back() -> None:
    """Free what nobody uses any more, and hand it back to the system as far as the C library can.

    The collector looks at long-lived objects only when there are a quarter more of them: old rule sets would wait for
    that, one behind the other. It takes some tenths of a second with thousands of rules.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc; others do it by themselves, or not at all
    if trim is not None:
        trim(0)
