"""The QEMU processes of a daemon on this machine, found by its pid files and then proven."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmtui.backends.kvm import procfs
from vmtui.backends.kvm.procfs import Spent
from vmtui.backends.libvirt.places import Places
from vmtui.model import VMId


@dataclass(frozen=True, slots=True)
class _Known:
    run: int
    pid: int
    start_ticks: int


class Processes:
    """Looked for once in each run of a VM; a pid that was given to another process is noticed."""

    def __init__(self, places: Places) -> None:
        self._run = places.run if places.local else None
        self._known: dict[VMId, _Known] = {}

    def find(self, vm: VMId, run: int, name: str) -> None:
        """Look for its process, unless it is known."""
        known = self._known.get(vm)
        if self._run is not None and (known is None or known.run != run):
            self._find(self._run / f"{name}.pid", vm, run)

    def spent(self, vm: VMId, run: int) -> Spent | None:
        """What that run of the VM has used, or None where its process is not known."""
        known = self._known.get(vm)
        if known is None or known.run != run:
            return None
        spent = procfs.spent(known.pid)
        if spent is None or spent.start_ticks != known.start_ticks:
            self._known.pop(vm, None)
            return None
        return spent

    def held(self, vm: VMId, run: int) -> procfs.Held | None:
        """The host's memory that it holds."""
        known = self._known.get(vm)
        return procfs.memory(known.pid) if known is not None and known.run == run else None

    def _find(self, pid_file: Path, vm: VMId, run: int) -> None:
        try:
            pid = int(pid_file.read_text("ascii"))
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return
        spent = procfs.spent(pid)
        # A pid file may be stale; the process itself says whose it is.
        if vm.encode() in words and spent is not None:
            self._known[vm] = _Known(run, pid, spent.start_ticks)
