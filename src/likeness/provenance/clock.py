"""The day on which a consent is asked for: one place that reads the clock."""

from __future__ import annotations

from datetime import date


def today() -> date:
    """Return the day by this machine's clock and time zone."""
    return date.today()
