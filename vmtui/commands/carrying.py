"""`export`, `images import` and `images export`: the roads from and to other programs."""

from __future__ import annotations

import argparse
import asyncio
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from vmtui.backends.kvm.accel import prove
from vmtui.commands.telling import clear_progress, on_terminal
from vmtui.errors import EXIT_DONE, InputError, StateError, UnsupportedError
from vmtui.images.export import export_disk, export_ova
from vmtui.images.image import ImageKind
from vmtui.images.imports import importing, kernels
from vmtui.images.imports.foreign import Foreign, ForeignNic
from vmtui.images.library import Library
from vmtui.images.qemu_img import Source
from vmtui.images.virt_v2v import VirtV2v
from vmtui.model import VM, DiskKind, Firmware, State
from vmtui.opening import connected
from vmtui.output import print_json
from vmtui.units import MIB, plain, size

_FORMATS = {
    ".qcow2": "qcow2",
    ".raw": "raw",
    ".img": "raw",
    ".vmdk": "vmdk",
    ".vdi": "vdi",
    ".vhd": "vpc",
    ".vhdx": "vhdx",
}
_VIRT_V2V_HELPS = "if the guest does not start: import it with --virt-v2v, which gives it drivers"


async def import_image(options: argparse.Namespace) -> int:
    """`vmtui images import FILE`."""
    path = _absolute(options.file)
    if await asyncio.to_thread(kernels.asked_for, path, options.initrd, options.append):
        return await _import_kernel(options, path)
    planned = await importing.plan(path)
    if options.plan:
        _tell_plan(planned, as_json=options.json)
        return EXIT_DONE
    # What can't be carried over is told before anything is done.
    _tell_notes(planned.notes)
    if planned.from_another and not options.virt_v2v:
        _tell_notes([_VIRT_V2V_HELPS])
    name = options.name or _name_for(path)
    virt_v2v = VirtV2v.found((await prove()).accel) if options.virt_v2v else None
    imported = await importing.import_file(path, name, Library(), on_terminal, virt_v2v=virt_v2v)
    clear_progress()
    _tell_notes([note for note in imported.notes if note not in planned.notes])
    if options.json:
        told = {"images": imported.images, "foreign": imported.foreign, "notes": imported.notes}
        print_json(msgspec.to_builtins(told, enc_hook=str))
        return EXIT_DONE
    for image in imported.images:
        print(plain(f"{image.name} is in the library: a disk of {size(image.virtual_size_bytes)}"))
    print(f"Make a VM of it: {plain(_creation(name, imported.foreign))}")
    return EXIT_DONE


async def _import_kernel(options: argparse.Namespace, path: Path) -> int:
    if options.virt_v2v:
        raise InputError("virt-v2v can't convert a kernel", why="it has no disk")
    initrd = _absolute(options.initrd) if options.initrd else None
    kernel = await asyncio.to_thread(kernels.look, path, initrd, options.append or "")
    if options.plan:
        _tell_kernel(kernel, as_json=options.json)
        return EXIT_DONE
    _tell_notes(kernel.notes)
    # The version of a kernel is in its file's name, and is a good one here.
    image = await kernels.import_kernel(kernel, options.name or path.name, Library(), on_terminal)
    clear_progress()
    if options.json:
        told = {"images": (image,), "foreign": Foreign("kernel", path.name), "notes": kernel.notes}
        print_json(msgspec.to_builtins(told, enc_hook=str))
        return EXIT_DONE
    what = "a kernel with its initrd" if image.initrd else "a kernel"
    print(plain(f"{image.name} is in the library: {what}"))
    print(f"Make a VM of it: {plain(_creation(image.name, Foreign('kernel')))}")
    return EXIT_DONE


def _tell_kernel(kernel: kernels.Kernel, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(kernel, enc_hook=str))
        return
    print(plain(f"kernel: {kernel.path.name}, for {kernel.arch}"))
    if kernel.initrd:
        print(plain(f"initrd: {kernel.initrd.name}"))
    print(plain(f"command line: {kernel.append or 'none'}"))
    _tell_notes(kernel.notes)


async def export_image(options: argparse.Namespace) -> int:
    """`vmtui images export NAME FILE`."""
    library, target = Library(), _absolute(options.file)
    image = await asyncio.to_thread(library.image, options.name)
    if image.kind is ImageKind.ISO:
        raise InputError(f"{image.name} is an ISO", hint=f"It is a file: copy {image.path}")
    if image.kind is ImageKind.KERNEL:
        files = " and ".join(str(file) for file in (image.path, image.initrd) if file)
        raise InputError(f"{image.name} is a kernel", hint=f"Copy {files}")
    described = Foreign(
        "vmtui",
        image.name,
        memory_bytes=image.memory_minimum_bytes,
        firmware=image.firmware,
        description=image.title,
        nics=(ForeignNic(),),
    )
    async with library.held(image.name):
        await _export(described, [Source(image.path, image.format)], target)
    print(plain(f"{image.name} is exported to {target}"))
    return EXIT_DONE


async def export_vm(options: argparse.Namespace) -> int:
    """`vmtui export NAME FILE`."""
    target = _absolute(options.file)
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        vm = fleet.vm(ref)
        _refuse_unless_off(vm)
        disks = _disks(ref.uri, vm)
        left = _left_behind(vm)
        _tell_notes([f"not carried over: {thing}" for thing in left])
        described = Foreign(
            "vmtui",
            vm.name,
            vm.vcpus,
            vm.memory_bytes,
            vm.firmware,
            description=vm.description,
            nics=tuple(ForeignNic(nic.network, nic.model or "") for nic in vm.nics),
        )
        await _export(described, disks, target)
        await fleet.connection(ref.uri).refresh(ref.id)
        if fleet.vm(ref).state is not vm.state:
            await asyncio.to_thread(target.unlink)
            raise StateError(
                f"{vm.name} is not exported", why="it was started while its disks were read"
            )
    without = f", without {' and '.join(left)}" if left else ""
    print(plain(f"{vm.name} is exported to {target}{without}"))
    return EXIT_DONE


def _left_behind(vm: VM) -> list[str]:
    """What belongs to the VM and is in none of its disks."""
    left = []
    if vm.firmware not in (None, Firmware.BIOS):
        left.append("its UEFI variables (boot entries, enrolled keys)")
    if vm.tpm:
        left.append("the state of its TPM, with the keys in it")
    return left


def _refuse_unless_off(vm: VM) -> None:
    if vm.state not in (State.OFF, State.CRASHED):
        raise StateError(
            f"can't export {vm.name}",
            why=f"it is {vm.state}, and its disks are whole only when it is off",
            hint=f"Shut it down first: vmtui shutdown {vm.name}",
        )


def _disks(uri: str, vm: VM) -> list[Source]:
    """What the VM's disks are in files of this machine."""
    disks = [disk for disk in vm.disks if disk.kind is DiskKind.DISK]
    if not disks:
        raise InputError(f"{vm.name} has no disk")
    for disk in disks:
        # A host in the URI: the path is one of that machine.
        if urlsplit(uri).netloc or not (disk.source and Path(disk.source).is_file()):
            raise UnsupportedError(
                f"can't export {vm.name}",
                why=f"its disk {disk.target} is not a file of this machine that can be read",
            )
    return [Source(Path(disk.source or ""), disk.format or "raw", ours=True) for disk in disks]


async def _export(described: Foreign, disks: Sequence[Source], target: Path) -> None:
    ending = target.suffix.lower()
    try:
        if ending == ".ova":
            await export_ova(described, disks, target, on_terminal)
        elif ending not in _FORMATS:
            raise InputError(
                f"{target.name} does not say what to write",
                hint=f"Let its name end in one of {', '.join([*_FORMATS, '.ova'])}.",
            )
        elif len(disks) > 1:
            raise InputError(
                f"{described.name} has {len(disks)} disks", hint="Only an .ova takes them all."
            )
        else:
            await export_disk(disks[0], target, on_terminal, target_format=_FORMATS[ending])
    finally:
        clear_progress()


def _absolute(file: str) -> Path:
    return Path(file).absolute()


def _tell_plan(planned: importing.Plan, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(planned, enc_hook=str))
        return
    foreign = planned.foreign
    print(plain(f"from: {foreign.origin} {foreign.name}".rstrip()))
    for disk in planned.disks:
        print(plain(f"disk: {disk.source.path.name}, {size(disk.info.virtual_size_bytes)}"))
    for nic in foreign.nics:
        print(plain(f"card: {nic.model or 'some'} on {nic.network or 'some network'}"))
    for note in planned.notes:
        print(plain(note))
    if planned.from_another:
        print(_VIRT_V2V_HELPS)


def _tell_notes(notes: Sequence[str]) -> None:
    for note in notes:
        print(plain(note), file=sys.stderr)


def _name_for(path: Path) -> str:
    """A name in the library for what is in a file, such as `web` for `web.qcow2.xz`."""
    stem = path.name.partition(".")[0] or path.stem
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_") or "imported"


def _creation(name: str, foreign: Foreign) -> str:
    """The command that makes a VM like the one that was imported."""
    argv = ["vmtui", "create", name, "--image", name]
    if foreign.vcpus:
        argv += ["--cpus", str(foreign.vcpus)]
    if foreign.memory_bytes:
        argv += ["--memory", f"{foreign.memory_bytes // MIB}M"]
    if foreign.firmware:
        argv += ["--firmware", foreign.firmware.value]
    if foreign.tpm:
        argv.append("--tpm")
    return shlex.join(argv)
