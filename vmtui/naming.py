"""Names for new VMs that no other has."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vmtui.spec import NAME_LIMIT


def free_name(stem: str, taken: Iterable[str]) -> str:
    """`STEM-1`, or the next number that is free, with nothing in it that names can't have."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[: NAME_LIMIT - 5]
    if not stem or not stem[0].isalnum():
        stem = "vm"
    used = {name.lower() for name in taken}
    return next(
        name for i in range(1, len(used) + 2) if (name := f"{stem}-{i}").lower() not in used
    )
