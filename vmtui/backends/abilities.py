"""The seam's abilities that only some backends have; those to get at a guest are in `ways_in`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vmtui.hardware.when import When
from vmtui.model import VMId
from vmtui.parts import CloudInit
from vmtui.progress import ProgressSink, no_progress
from vmtui.spec import Limits, VMSpec

if TYPE_CHECKING:  # listing has to be quick, and needs none of it
    from vmtui.hardware.around import Balloon, Barrier, FirmwareFacts, TpmFacts
    from vmtui.hardware.changes import Change, ChangePlan, DefinitionText, Outcome
    from vmtui.hardware.cores import CoreMap
    from vmtui.hardware.devices import HostDevice
    from vmtui.hardware.tree import Hardware
    from vmtui.ksm import KsmState, Switch


@runtime_checkable
class Clones(Protocol):
    """Feature.CLONE."""

    async def clone(
        self,
        vm: VMId,
        name: str,
        *,
        linked: bool,
        cloud_init: CloudInit | None,
        progress: ProgressSink,
    ) -> VMId:
        """Make a VM like one that is off, with its own UUID, MACs and disks; all or nothing.

        `linked`: its disks lean on those of the other, which then can't be started or deleted.
        With `cloud_init` its seed is made anew, under a new instance-id, so that the guest makes
        itself a machine-id and host keys. A TPM's state is never cloned.
        """
        ...


@runtime_checkable
class Previews(Protocol):
    """For backends that can say what `create` would run, without making anything."""

    async def preview(self, spec: VMSpec) -> str:
        """QEMU's command line in the shell's own quotes, or the domain's XML."""
        ...


@runtime_checkable
class KnowsLimits(Protocol):
    """For backends that know more of what a new VM has to fit into than the host's size."""

    async def limits(self) -> Limits:
        """Free space where disks go, and parts that VMs can't have there; as of now."""
        ...


@runtime_checkable
class LeanOnImages(Protocol):
    """For backends whose disks can lean on images of the library."""

    async def images_in_use(self) -> Mapping[str, tuple[str, ...]]:
        """By an image's name in the library, the names of the VMs whose disks lean on it."""
        ...


@runtime_checkable
class Configures(Protocol):
    """Feature.CONFIGURE.

    All raise NoSuchVMError. What a definition says that vmtui does not know stays as it is.
    """

    async def hardware(self, vm: VMId) -> Hardware:
        """All that it has, now and at its next boot."""
        ...

    async def plan(self, vm: VMId, changes: Sequence[Change], when: When = When.AUTO) -> ChangePlan:
        """What the changes would do, together; nothing is changed.

        Raises InputError, RefusedError, StateError, MissingError or UnsupportedError with the
        reason for what can't be: before anything was changed is the time to hear of it.
        """
        ...

    async def change(self, plan: ChangePlan, progress: ProgressSink = no_progress) -> Outcome:
        """Do what the plan says: the stored definition whole, then what is live, step by step.

        Raises StateError when the VM changed since the plan was made, and what `plan` raises. A
        live step that fails is told in the outcome; it stays for the next boot.
        """
        ...

    async def definition(self, vm: VMId) -> DefinitionText:
        """What is stored, for an editor."""
        ...

    async def plan_text(
        self, vm: VMId, edited: DefinitionText, when: When = When.AUTO
    ) -> ChangePlan:
        """What `change` would make of an edited definition: checked, as a difference.

        Raises InputError whose reason begins with `line N: ` where the line is known.
        """
        ...


@runtime_checkable
class Balloons(Protocol):
    """Feature.BALLOON. Both raise StateError when it is off, UnsupportedError without a balloon."""

    async def balloon(self, vm: VMId) -> Balloon:
        """What it was asked for, and has, this moment."""
        ...

    async def ask_memory(self, vm: VMId, target_bytes: int) -> None:
        """Ask the guest to leave itself that much, live only. Success means asked, not got."""
        ...


@runtime_checkable
class Tpms(Protocol):
    """Feature.TPM. All raise UnsupportedError for a VM that has no software TPM."""

    async def tpm(self, vm: VMId) -> TpmFacts:
        """What it is, and where its state."""
        ...

    async def back_up_tpm(self, vm: VMId, to: Path) -> None:
        """Its state as one file, private to the user; the VM is off (else StateError)."""
        ...

    async def restore_tpm(self, vm: VMId, source: Path) -> None:
        """Replace its state by one of `back_up_tpm`, whole or not at all; the VM is off."""
        ...

    async def clear_tpm(self, vm: VMId) -> None:
        """Begin anew with an empty state: disk keys sealed in it are lost. The VM is off."""
        ...


@runtime_checkable
class FirmwareVariables(Protocol):
    """Feature.VARIABLES. All but the first need a VM that is off; UnsupportedError with BIOS."""

    async def firmware(self, vm: VMId) -> FirmwareFacts:
        """Which files it is, and where its variables began."""
        ...

    async def reset_variables(self, vm: VMId, template: Path | None = None) -> None:
        """Begin anew, from the firmware's own or from a file with keys of one's own."""
        ...

    async def back_up_variables(self, vm: VMId, to: Path) -> None:
        """A copy of them, private to the user."""
        ...


@runtime_checkable
class MapsCores(Protocol):
    """For backends that can tell where on the host the threads of VMs run."""

    async def cores(self) -> CoreMap:
        """The host's CPUs with their NUMA nodes, and which threads may run on which."""
        ...


@runtime_checkable
class MergesPages(Protocol):
    """For backends whose host keeps equal pages of its VMs once (KSM), if it is this machine."""

    async def page_sharing(self) -> KsmState:
        """What there is now. Raises UnsupportedError where the host is another machine."""
        ...

    async def share_pages(self, to: Switch) -> None:
        """Switch it for all VMs. Raises UnsupportedError; RefusedError with what root may do."""
        ...


@runtime_checkable
class Isolates(Protocol):
    """For backends that can tell what keeps a guest from all else."""

    async def isolation(self, vm: VMId) -> Sequence[Barrier]:
        """Each barrier, and what would tighten it."""
        ...


@runtime_checkable
class HostDevices(Protocol):
    """Feature.PASSTHROUGH."""

    async def host_devices(self) -> Sequence[HostDevice]:
        """Those of the host, with what uses them and why one can't be passed through."""
        ...


TRASH_DAYS = 30
"""How long what is in the trash can be brought back, if nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Trashed:
    """A deleted VM that can still be brought back."""

    vm: VMId
    name: str
    deleted_at_s: float  # Unix time
    gone_at_s: float  # Unix time after which it is removed for good
    size_bytes: int | None = None


@runtime_checkable
class Trash(Protocol):
    """Feature.TRASH: deletions with DeletePlan.to_trash."""

    async def trashed(self) -> Sequence[Trashed]:
        """The last deleted first."""
        ...

    async def restore(self, vm: VMId) -> None:
        """Bring it back. Raises NoSuchVMError, InputError when its name was taken meanwhile."""
        ...

    async def purge(self, vm: VMId) -> None:
        """Remove it for good."""
        ...
