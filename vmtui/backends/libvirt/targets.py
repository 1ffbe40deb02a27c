"""What guests were asked to leave themselves: libvirt tells only what they have."""

from __future__ import annotations

from vmtui.model import VMId


class Targets:
    """The last request of each VM's balloon, while that run of it lasts."""

    def __init__(self) -> None:
        self._asked: dict[VMId, tuple[int, int]] = {}

    def note(self, vm: VMId, run: int, target_bytes: int) -> None:
        """It was asked; `run` is libvirt's number of the running domain."""
        self._asked[vm] = (run, target_bytes)

    def of(self, vm: VMId, run: int) -> int | None:
        """The last request; None where this vmtui has made none."""
        known = self._asked.get(vm)
        return known[1] if known is not None and known[0] == run else None
