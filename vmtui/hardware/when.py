"""For when a change is asked: by itself, for what the command line and the seam default to."""

from __future__ import annotations

from enum import StrEnum


class When(StrEnum):
    """What somebody asks for."""

    AUTO = "auto"  # for good, and live as well where that can be
    LIVE = "live"  # now and only now; refused where it can't be
    NEXT_BOOT = "next-boot"
