"""Making a VM: its definition from a specification, then its folder with all that is in it."""

from __future__ import annotations

import asyncio
import random
import shlex
import shutil
import uuid
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from vmtui.backends.base import Progress, ProgressSink
from vmtui.backends.kvm import disks, firmware, ports, swtpm
from vmtui.backends.kvm.argv import Place, argv
from vmtui.backends.kvm.checked import convert
from vmtui.backends.kvm.definition import (
    VERSION,
    Definition,
    SshDefinition,
    memory_text,
)
from vmtui.backends.kvm.hardware import (
    PCIE_MODELS,
    PLUGGABLE,
    PORTS,
    BaseDefinition,
    KernelDefinition,
    NicDefinition,
    ShareDefinition,
    TopologyDefinition,
)
from vmtui.backends.kvm.lifecycle import outfitted
from vmtui.backends.kvm.process import boot_id
from vmtui.backends.kvm.program import QEMU
from vmtui.backends.kvm.store import Store
from vmtui.deferred import deferred
from vmtui.errors import InputError, UnsupportedError
from vmtui.images import micro
from vmtui.images.library import Library
from vmtui.model import Accel, DiskKind, Firmware, VMId
from vmtui.parts import Forward, NetworkKind, NicSpec
from vmtui.spec import Boot, BootKind, VMSpec, name_problem
from vmtui.whole import whole_in_thread

if TYPE_CHECKING:
    from vmtui.backends.kvm import autostart, cloud, tpm_making
else:
    autostart, cloud, tpm_making = deferred(
        "vmtui.backends.kvm", "autostart", "cloud", "tpm_making"
    )

SSH_PORT = 22
_FORMAT = "qcow2"
"""Of disks in the library, if nothing else is known."""


async def create(
    store: Store, library: Library | None, spec: VMSpec, taken: set[int], progress: ProgressSink
) -> VMId:
    """Make the VM, off: all or nothing. `taken` are the ports of this machine that others have.

    `library`: None is the user's own.
    """
    refuse_name(store, spec.name)
    if spec.boot.kind is BootKind.MICRO:
        progress(Progress("looking for the micro image", stage="image"))
        await micro.ensure(lambda _: None)
    if spec.firmware is not Firmware.BIOS:
        firmware.choose(spec.firmware)  # refused now rather than at the first start
    # Until the VM is in the store, nobody knows that it leans on the image.
    image = spec.boot.image
    async with (library or Library()).held(image) if image else nullcontext():
        base = await asyncio.to_thread(_base, spec)
        definition = await asyncio.to_thread(designed, spec, taken, base)
        async with store.staged(spec.name) as folder:
            await _build(folder, spec, definition, progress)
            await store.write(folder, definition)
        if definition.autostart:
            try:
                await whole_in_thread(autostart.follow, spec.name, autostart=True)
            except BaseException:
                await store.remove(spec.name)
                raise
    return VMId(definition.uuid)


async def preview(store: Store, library: Library | None, spec: VMSpec, taken: set[int]) -> str:
    """The command line that would start it, in the shell's own quotes."""
    if spec.boot.image and spec.boot.path is None:  # it has yet to come
        path = (library or Library()).root / spec.boot.image / f"disk.{_FORMAT}"
        spec = replace(spec, boot=replace(spec.boot, path=path, format=_FORMAT))
        base = BaseDefinition(str(path), _FORMAT, 0, 0) if disks.leans(spec) else None
    else:
        base = await asyncio.to_thread(_base, spec)
    definition = await asyncio.to_thread(designed, spec, taken, base)
    place = Place(
        shutil.which(QEMU) or QEMU, store.folder(spec.name), store.runtime(spec.name), Accel.TCG
    )
    return shlex.join(argv(spec.name, definition, await outfitted(spec.name, definition, place)))


def _base(spec: VMSpec) -> BaseDefinition | None:
    boot = spec.boot
    if not disks.leans(spec) or boot.path is None:
        return None
    return disks.base_of(boot.path, boot.format or _FORMAT, image=boot.image)


def refuse_name(store: Store, name: str) -> None:
    """Raise InputError if no new VM can have that name."""
    problem = name_problem(name, store.names())
    if problem:
        raise InputError(f"{name or 'the VM'} can't be made", why=problem)


async def _build(
    folder: Path, spec: VMSpec, definition: Definition, progress: ProgressSink
) -> None:
    await disks.make(spec, definition.disk, folder, progress)
    if spec.cloud_init is not None:
        progress(Progress("making the cloud-init seed", stage="seed"))
        await cloud.write(
            folder,
            spec.cloud_init,
            name=spec.name,
            instance_id=definition.uuid,
            image_user=spec.boot.user,
        )
    if definition.firmware is not Firmware.BIOS:
        progress(Progress("preparing the firmware", stage="firmware"))
        firmware.prepare(definition.firmware, folder, keys=definition.firmware_keys)
    chip = swtpm.chip_of(definition, folder)
    if chip is not None:
        progress(Progress("making the TPM", stage="TPM"))
        await tpm_making.prepare(spec.name, chip)


def designed(spec: VMSpec, taken: set[int], base: BaseDefinition | None = None) -> Definition:
    """What `vm.toml` will say of it. Nothing is made. Raises InputError, UnsupportedError."""
    _refuse(spec)
    nics = _default_nics(spec) if spec.nics is None else spec.nics
    definition = Definition(
        version=VERSION,
        uuid=str(uuid.uuid4()),
        vcpus=spec.vcpus,
        memory=memory_text(spec.memory_bytes),
        boot=spec.boot.kind,
        image=spec.boot.label,
        kernel=_kernel(spec.boot),
        firmware=spec.firmware,
        tpm=spec.tpm,
        accel=spec.accel,
        description=spec.description,
        autostart=spec.autostart,
        disk=disks.designed(spec, base),
        nic=tuple(nic_definition(nic, taken) for nic in _with_ssh(spec, nics)),
        ssh=SshDefinition(ssh_user(spec)),
        topology=TopologyDefinition.of(spec.topology),
        cpu=spec.cpu_model,
        balloon_floor=memory_text(spec.balloon_floor_bytes) if spec.balloon_floor_bytes else "",
        share=tuple(
            ShareDefinition(str(share.path), share.tag, share.read_only, share.protocol)  # type: ignore[arg-type]
            for share in spec.shares
        ),
        graphics=spec.graphics,
        boot_order=spec.boot_order,  # type: ignore[arg-type]
        hyperv=spec.hyperv,
        tags=spec.tags,
        throwaway=spec.throwaway,
        boot_id=boot_id() if spec.throwaway else "",
    )
    return _checked(spec.name, definition if spec.throwaway else _in_ports(definition))


def _checked(name: str, definition: Definition) -> Definition:
    """As it will be read from its file."""
    content: dict[str, Any] = msgspec.to_builtins(definition)
    try:
        return convert(content)
    except (msgspec.ValidationError, ValueError) as error:
        raise InputError(f"{name} can't be made", why=str(error)) from error


def _kernel(boot: Boot) -> KernelDefinition | None:
    if boot.kind is not BootKind.KERNEL:
        return None
    return KernelDefinition(str(boot.path), str(boot.initrd or ""), boot.append, boot.image)


def _in_ports(definition: Definition) -> Definition:
    """With its cards in PCIe ports, as far as there are some: from there they can be taken out."""
    free = iter(range(1, PORTS + 1))
    return msgspec.structs.replace(
        definition,
        disk=tuple(
            msgspec.structs.replace(disk, port=next(free, 0))
            if disk.bus in PLUGGABLE and disk.kind is DiskKind.DISK
            else disk
            for disk in definition.disk
        ),
        nic=tuple(
            msgspec.structs.replace(nic, port=next(free, 0)) if nic.model in PCIE_MODELS else nic
            for nic in definition.nic
        ),
    )


def _refuse(spec: VMSpec) -> None:
    why = autostart.obstacle() if spec.autostart else ""
    if why:
        raise UnsupportedError(f"{spec.name} can't be started with the machine", why=why)
    if any(nic.network is NetworkKind.NETWORK for nic in spec.nics or ()):
        raise UnsupportedError(
            "the direct backend has no networks by name",
            hint="Use user, isolated or bridge, or make the VM on libvirt.",
        )
    if spec.throwaway and any(not share.read_only for share in spec.shares):
        raise InputError(
            f"{spec.name} can't be made",
            why="a throwaway VM writes nothing outside its own folder",
            hint="Share the folder read-only.",
        )


def ssh_user(spec: VMSpec) -> str:
    """As whom ssh gets in."""
    return spec.ssh_user or (spec.cloud_init.user if spec.cloud_init else "") or spec.boot.user


def _default_nics(spec: VMSpec) -> tuple[NicSpec, ...]:
    return () if spec.throwaway else (NicSpec(),)


def _with_ssh(spec: VMSpec, nics: tuple[NicSpec, ...]) -> tuple[NicSpec, ...]:
    """With a way in for ssh, where somebody can log in and no forward leads there yet."""
    ports_asked_for = {forward.guest_port for nic in nics for forward in nic.forwards}
    at = next((i for i, nic in enumerate(nics) if nic.network is NetworkKind.USER), None)
    nobody = spec.boot.kind is not BootKind.DISK or not (spec.cloud_init or ssh_user(spec))
    if at is None or nobody or SSH_PORT in ports_asked_for:
        return nics
    forwards = (*nics[at].forwards, Forward(SSH_PORT))
    reached = NicSpec(nics[at].network, forwards=forwards, mac=nics[at].mac, model=nics[at].model)
    return (*nics[:at], reached, *nics[at + 1 :])


def nic_definition(nic: NicSpec, taken: set[int]) -> NicDefinition:
    """A card as `vm.toml` says it, with ports of this machine that are free."""
    made = NicDefinition(
        nic.mac or new_mac(),
        network=nic.network.value,  # type: ignore[arg-type]
        bridge=nic.source if nic.network is NetworkKind.BRIDGE else "",
        model=nic.model,  # type: ignore[arg-type]
    )
    return ports.forwarded(made, nic.forwards, taken)


def new_mac() -> str:
    """For a network card. 52:54:00 is the prefix that QEMU guests customarily have."""
    tail_bytes = random.SystemRandom().randbytes(3)
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in tail_bytes)
