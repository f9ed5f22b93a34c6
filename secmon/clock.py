"""The only clock. Everything else is told the time."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock (ports.Clock)."""

    def now(self) -> datetime:
        """Return the aware UTC time."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()
