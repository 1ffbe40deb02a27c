"""New VMs of the demo fleet: made, cloned, and gone once they are off where they are throwaway."""

from __future__ import annotations

import asyncio
import shlex
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from vmtui.backends.base import ProgressSink
from vmtui.errors import InputError, StateError, read_only
from vmtui.model import INACTIVE_STATES, VM, Accel, Disk, DiskKind, Nic, SshAccess, State, VMId
from vmtui.parts import CloudInit, NicSpec
from vmtui.progress import Progress
from vmtui.spec import BootKind, Limits, VMSpec, name_problem
from vmtui.units import GIB

FREE_BYTES = 400 * GIB
STAGES = ("disk", "seed", "firmware", "TPM")


class DemoMaking:
    """What the demo's backend answers about VMs to make."""

    _read_only: bool
    _vms: dict[VMId, VM]

    def joined(self, vm: VM) -> None:
        """A VM was made."""
        raise NotImplementedError

    def refuse(self, name: str, what: str) -> None:
        """Raise unless a VM can get this name now."""
        if self._read_only:
            raise read_only(f"{what} {name}")
        problem = name_problem(name, (vm.name for vm in self._vms.values()))
        if problem:
            raise InputError(f"{name or 'the VM'} can't be made", why=problem)

    async def limits(self) -> Limits:
        """Room for everything."""
        return Limits(free_bytes=FREE_BYTES)

    async def preview(self, spec: VMSpec) -> str:
        """What QEMU would be told, in short."""
        argv = ["qemu-system-x86_64", "-name", spec.name, "-accel", "kvm"]
        argv += ["-smp", str(spec.vcpus), "-m", f"{spec.memory_bytes // 1024**2}M"]
        argv += ["-drive", f"file=/vms/{spec.name}/disk.qcow2,if=virtio"]
        for nic in spec.nics if spec.nics is not None else (NicSpec(),):
            forwards = "".join(f",hostfwd=tcp::{f.host_port}-:{f.guest_port}" for f in nic.forwards)
            argv += ["-nic", f"{nic.network.value}{forwards}"]
        if spec.tpm:
            argv += ["-device", "tpm-crb,tpmdev=tpm0"]
        return " \\\n  ".join(
            shlex.join(part) for part in [argv[:1], *zip(argv[1::2], argv[2::2], strict=True)]
        )

    async def images_in_use(self) -> Mapping[str, tuple[str, ...]]:
        """By the images that VMs were made from."""
        users: dict[str, list[str]] = defaultdict(list)
        for vm in self._vms.values():
            if vm.image:
                users[vm.image].append(vm.name)
        return {image: tuple(sorted(names)) for image, names in users.items()}

    async def create(self, spec: VMSpec, progress: ProgressSink) -> VMId:
        """Add it to the cast, off."""
        self.refuse(spec.name, "creating")
        for stage in _stages(spec):
            progress(Progress(stage, 0.5, stage=stage))
            await asyncio.sleep(0)  # where a cancellation that came meanwhile takes effect
        disk = f"/vms/{spec.name}/disk.qcow2"
        has_disk = spec.disk_bytes or spec.boot.kind is BootKind.DISK
        sizes = [spec.disk_bytes] if has_disk else []
        sizes += [more.size_bytes for more in spec.disks]
        self.refuse(spec.name, "creating")  # another may have been quicker
        vm_id = VMId(str(uuid.uuid4()))
        self.joined(
            VM(
                id=vm_id,
                name=spec.name,
                state=State.OFF,
                vcpus=spec.vcpus,
                memory_bytes=spec.memory_bytes,
                accel=Accel.KVM,
                firmware=spec.firmware,
                tpm=spec.tpm,
                disks=tuple(
                    Disk(f"vd{'abcdefghijklmnopqrstuvwxyz'[i]}", DiskKind.DISK, disk, "qcow2", size)
                    for i, size in enumerate(sizes)
                ),
                nics=tuple(Nic(nic.mac or None, nic.network.value) for nic in spec.nics or ()),
                image=spec.boot.label,
                consoles=("serial0",),
                displays=1,
                description=spec.description,
                ssh=SshAccess(spec.ssh_user),
                tags=spec.tags,
                autostart=spec.autostart,
                throwaway=spec.throwaway,
            )
        )
        return vm_id

    async def clone(
        self,
        vm: VMId,
        name: str,
        *,
        linked: bool,
        cloud_init: CloudInit | None,  # noqa: ARG002 (no guest is there to read it)
        progress: ProgressSink,
    ) -> VMId:
        """One more of the cast."""
        origin = self._vms[vm]
        self.refuse(name, "cloning")
        if origin.state not in INACTIVE_STATES:
            raise StateError(f"can't clone {origin.name}", why=f"it is {origin.state.value}")
        progress(Progress("linking its disks" if linked else "copying its disks", 0.5, "disk"))
        await asyncio.sleep(0)
        self.refuse(name, "cloning")
        fresh = VMId(str(uuid.uuid4()))
        disks = tuple(
            replace(disk, source=f"/vms/{name}/disk.qcow2") if disk.source else disk
            for disk in origin.disks
        )
        self.joined(
            replace(origin, id=fresh, name=name, state=State.OFF, disks=disks, addresses=())
        )
        return fresh


def _stages(spec: VMSpec) -> Iterable[str]:
    wanted = {"disk": True, "seed": spec.cloud_init is not None, "firmware": True, "TPM": spec.tpm}
    return (stage for stage in STAGES if wanted[stage])
