"""What runs beside a VM's QEMU and what QEMU inherits: its TPM, shared folders, taps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmtui.backends.kvm import bridges, swtpm, virtiofsd
from vmtui.backends.kvm.argv import Place
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.process import Process
from vmtui.deferred import deferred
from vmtui.errors import OperationError

if TYPE_CHECKING:
    from vmtui.backends.kvm import tpm_making
else:
    (tpm_making,) = deferred("vmtui.backends.kvm", "tpm_making")


@dataclass
class Companions:
    """Processes that end by themselves when QEMU does."""

    processes: list[Process] = field(default_factory=list)
    inherited: dict[int, int] = field(default_factory=dict)
    """Descriptors of this process, by the numbers under which QEMU gets them."""

    def check(self, name: str, place: Place) -> None:
        """Raise OperationError if one has ended already: the VM would lack a part."""
        if all(process.alive for process in self.processes):
            return
        logs = sorted(path for path in place.runtime.glob("*.log") if path.name not in _NOT_THEIRS)
        said = [path.read_text("utf-8", "replace").strip()[-500:] for path in logs]
        raise OperationError(
            f"a process that {name} needs has ended", why="\n".join(filter(None, said))
        )


_NOT_THEIRS = ("qemu.log", "console.log")


@asynccontextmanager
async def companions(name: str, definition: Definition, place: Place) -> AsyncIterator[Companions]:
    """All that the VM needs, for QEMU to be started in the block; if that fails, all of it ends."""
    found = Companions()
    with ExitStack() as held:
        try:
            chip = swtpm.chip_of(definition, place.folder)
            if chip is not None:
                await tpm_making.prepare(name, chip)
                found.processes.append(await swtpm.start(name, chip, place))
            for process in virtiofsd.start(definition, place):
                found.processes.append(process)
            await bridges.take_taps(name, definition, found.inherited, held)
            yield found
        except BaseException:
            for process in found.processes:
                process.kill()
            raise
        finally:
            for process in found.processes:
                process.release()
