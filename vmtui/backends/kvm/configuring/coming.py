"""Devices that are attached: what has to be true of them, and what they are in `vm.toml`."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from vmtui.backends.kvm import disks
from vmtui.backends.kvm.configuring import live_cards, live_drives, reach
from vmtui.backends.kvm.configuring.drafting import Draft
from vmtui.backends.kvm.creating import nic_definition
from vmtui.backends.kvm.hardware import (
    PCIE_MODELS,
    PLUGGABLE,
    PORTS,
    DiskDefinition,
    HostDeviceDefinition,
    NicDefinition,
    ShareDefinition,
)
from vmtui.backends.kvm.identity import new_card_name, new_drive_name
from vmtui.errors import BusyError, InputError, UnsupportedError
from vmtui.files import at_home
from vmtui.hardware.changes import Attach, Detach, When
from vmtui.hardware.devices import HostDevice, NewConsole, NewDisk
from vmtui.hardware.tree import Takes
from vmtui.hardware.wording import attached
from vmtui.images.disks import look
from vmtui.model import DiskKind
from vmtui.parts import NetworkKind, NicSpec, SharedFolder

USABLE_FORMATS = frozenset({"raw", "qcow2"})
"""Those that QEMU writes to as well as it reads."""
INTERFACES = Path("/sys/class/net")


async def attach(draft: Draft, change: Attach) -> None:
    """Find a device possible, and draft it."""
    match change.device:
        case NewDisk() as disk:
            await _disk(draft, change, disk)
        case NicSpec() as nic:
            await _nic(draft, nic)
        case SharedFolder() as folder:
            await _share(draft, change, folder)
        case HostDevice() as device:
            _host_device(draft, change, device)
        case NewConsole(kind=kind):
            consoles = (*draft.then.console, kind.value)
            draft.then = msgspec.structs.replace(draft.then, console=consoles)
            undo = Detach(f"console.{draft.then.consoles[-1]}")
            _at_next_boot(draft, change, undo)


# -- drives ------------------------------------------------------------------------------------


async def _disk(draft: Draft, change: Attach, new: NewDisk) -> None:
    for name, now in draft.disks_now.items():
        same = now is not None and now.file and draft.here.folder / now.file == new.path
        if same and draft.disks[name] is None and draft.when is not When.LIVE:
            draft.disks[name] = now
            _stays_after_all(draft, change, f"disk.{name}")
            return
    disk = await (_found(draft, new) if new.path else _fresh(draft, new))
    if disk.bus in PLUGGABLE and disk.kind is DiskKind.DISK:
        disk = msgspec.structs.replace(disk, port=free_port(draft))
    if new.path is not None or new.size_bytes is None:
        draft_disk(draft, change, disk)
        return
    path = draft.here.folder / disk.file
    make, unmake = partial(disks.blank, path, new.size_bytes), partial(path.unlink, missing_ok=True)
    draft_disk(draft, change, disk, make=make, unmake=unmake)


def draft_disk(draft: Draft, change: Attach, disk: DiskDefinition, **files: Any) -> None:
    """Draft a drive that is known to the last; `files` are made for it and taken back."""
    name = new_drive_name(disk, draft.disks)
    why = reach.disk_comes(draft.here, disk)
    takes, goes_live = _takes(draft, why, f"the disk {name}")
    draft.disks[name] = disk if draft.when is not When.LIVE else None
    draft.disks_now[name] = disk if goes_live else None
    work = partial(live_drives.attach_disk, name=name, disk=disk) if goes_live else None
    text = attached(change.device)
    draft.add(change, None, takes, why, Detach(f"disk.{name}"), text=text, live=work, **files)


async def _fresh(draft: Draft, new: NewDisk) -> DiskDefinition:
    """An empty tray, or a new file in the VM's folder."""
    if new.kind is DiskKind.CDROM:
        return DiskDefinition(kind=DiskKind.CDROM, read_only=True, bus=new.bus)
    if new.size_bytes is None:
        raise InputError("a disk needs a size, or the path of one that exists")
    taken = {disk.file for disk in _all_disks(draft)}
    file = await asyncio.to_thread(_free_name, draft.here.folder, taken)
    return _as_asked(DiskDefinition(file, "qcow2"), new)


def _free_name(folder: Path, taken: set[str]) -> str:
    """One that nothing has: a detached disk stays in the folder."""
    names = (f"disk{number}.qcow2" if number else "disk.qcow2" for number in range(10_000))
    return next(name for name in names if name not in taken and not (folder / name).exists())


async def _found(draft: Draft, new: NewDisk) -> DiskDefinition:
    """A file that exists, and that nobody else uses."""
    assert new.path is not None
    path = await asyncio.to_thread(lambda: at_home(new.path or "").absolute())
    own = path.parent == draft.here.folder.absolute()
    file = path.name if own else str(path)
    if any(disk.file == file for disk in _all_disks(draft)):
        raise BusyError(f"{path} is in use", why=f"{draft.here.name} has it already")
    if new.kind is DiskKind.CDROM:
        if not await asyncio.to_thread(path.is_file):
            raise InputError(f"there is no file {str(path)!r}")
        return DiskDefinition(file, "raw", DiskKind.CDROM, read_only=True, bus=new.bus)
    check_users(draft, path)
    found = await look(path)
    if found.source.format not in USABLE_FORMATS:
        raise InputError(
            f"{path} can't be a disk",
            why=f"QEMU does not write to {found.source.format} reliably",
            hint=f"Make a qcow2 of it: qemu-img convert -O qcow2 {path.name} NEW.qcow2",
        )
    if not new.read_only and not await asyncio.to_thread(_is_writable, path):
        raise InputError(
            f"{path} can't be written",
            why="it is read-only, as images of the library are: disks may lean on it",
            hint="Attach it read-only, or use a copy.",
        )
    await disks.check_unused(path, found.source.format)
    return _as_asked(DiskDefinition(file, found.source.format), new)


def _is_writable(path: Path) -> bool:
    # Root may write to anything; what the file says is what somebody meant.
    return bool(path.stat().st_mode & 0o222) and os.access(path, os.W_OK)


def check_users(draft: Draft, path: Path) -> None:
    """Raise BusyError if another VM of the store has a file, or leans on it."""
    for why in _users(draft, path.absolute()):
        raise BusyError(f"{path} is in use", why=why, hint="Detach it there, or use a copy.")


def _users(draft: Draft, path: Path) -> Iterator[str]:
    """How other VMs use a file, as they are stored or as they run."""
    for machine in draft.known:
        if machine is draft.machine:
            continue
        for definition in machine.definitions:
            for disk in definition.disk:
                if disk.file and (machine.folder / disk.file).absolute() == path:
                    yield f"{machine.name} has it as a disk"
                if any(Path(base.file) == path for base in disk.base):
                    yield f"a disk of {machine.name} leans on it"


def _as_asked(disk: DiskDefinition, new: NewDisk) -> DiskDefinition:
    return msgspec.structs.replace(
        disk,
        bus=new.bus,
        cache=new.cache,  # checked with all the rest
        discard=new.discard,
        read_only=new.read_only,
    )


def _all_disks(draft: Draft) -> list[DiskDefinition]:
    both = (*draft.disks.values(), *draft.disks_now.values())
    return [disk for disk in both if disk is not None]


# -- network cards -----------------------------------------------------------------------------


async def _nic(draft: Draft, spec: NicSpec) -> None:
    if spec.network is NetworkKind.NETWORK:
        raise UnsupportedError(
            "the direct backend has no networks by name",
            hint="Use user, isolated or bridge:NAME, or make the VM on libvirt.",
        )
    if spec.network is NetworkKind.BRIDGE:
        await asyncio.to_thread(check_bridge, spec.source)
    for name, now in draft.nics_now.items():
        same = now is not None and now.mac.lower() == spec.mac.lower()
        if same and draft.nics[name] is None and draft.when is not When.LIVE:
            draft.nics[name] = now
            _stays_after_all(draft, Attach(spec), f"nic.{name}")
            return
    if spec.mac and spec.mac.lower() in {nic.mac.lower() for nic in _all_nics(draft)}:
        raise InputError(f"{draft.here.name} has a card with the MAC {spec.mac} already")
    nic = nic_definition(spec, draft.ports)
    if nic.model in PCIE_MODELS:
        nic = msgspec.structs.replace(nic, port=free_port(draft))
    # With its MAC, so that what is planned is what is done.
    draft_nic(draft, Attach(replace(spec, mac=nic.mac)), nic)


def draft_nic(draft: Draft, change: Attach, nic: NicDefinition) -> None:
    """Draft a card that is known to the last."""
    name = new_card_name(draft.nics)
    why = reach.nic_comes(draft.here, nic)
    takes, goes_live = _takes(draft, why, f"the card {name}")
    draft.nics[name] = nic if draft.when is not When.LIVE else None
    draft.nics_now[name] = nic if goes_live else None
    work = partial(live_cards.attach_nic, name=name, nic=nic) if goes_live else None
    text = attached(change.device)
    draft.add(change, None, takes, why, Detach(f"nic.{name}"), text=text, live=work)


def check_bridge(name: str) -> None:
    """Raise InputError if this machine has no such bridge."""
    interfaces = [interface for _, interface in socket.if_nameindex()]
    # /sys may be that of another network namespace: what it does not know may be a bridge.
    plain = [one for one in interfaces if (INTERFACES / one).exists()]
    there = [one for one in interfaces if (INTERFACES / one / "bridge").is_dir()]
    if name not in interfaces or (name in plain and name not in there):
        raise InputError(
            f"there is no bridge {name!r} here",
            hint=f"There is: {', '.join(there)}." if there else "This machine has no bridge.",
        )


def _all_nics(draft: Draft) -> list[NicDefinition]:
    both = (*draft.nics.values(), *draft.nics_now.values())
    return [nic for nic in both if nic is not None]


# -- all else ----------------------------------------------------------------------------------


async def _share(draft: Draft, change: Attach, folder: SharedFolder) -> None:
    if not await asyncio.to_thread(folder.path.is_dir):
        raise InputError(f"{folder.path} can't be shared", why="it is not a folder")
    made = ShareDefinition(str(folder.path.absolute()), folder.tag, folder.read_only)
    made = msgspec.structs.replace(made, protocol=folder.protocol)
    draft.then = msgspec.structs.replace(draft.then, share=(*draft.then.share, made))
    _at_next_boot(draft, change, Detach(f"share.{folder.tag}"))


def _host_device(draft: Draft, change: Attach, device: HostDevice) -> None:
    if device.unavailable:
        raise UnsupportedError(f"{device.address} can't be passed through", why=device.unavailable)
    for machine in draft.known:
        current = machine.current if machine.active else None
        for other in current.host_device if current else ():
            if (other.bus, other.address) == (device.bus.value, device.address):
                raise BusyError(f"{device.address} is in use", why=f"{machine.name} has it")
    made = HostDeviceDefinition(device.bus.value, device.address, device.label)
    why = reach.host_device(draft.here, made)
    takes, goes_live = _takes(draft, why, device.address)
    if draft.when is not When.LIVE:
        with_it = (*draft.then.host_device, made)
        draft.then = msgspec.structs.replace(draft.then, host_device=with_it)
    undo, text = Detach(f"host.{device.address}"), attached(change.device)
    work = partial(live_cards.attach_host, made=made) if goes_live else None
    draft.add(change, None, takes, why, undo, text=text, live=work)


def _stays_after_all(draft: Draft, change: Attach, part: str) -> None:
    """A part that was to go, and is still there because the guest did not let it."""
    text, note = attached(change.device), "it is still there, and stays"
    draft.add(change, None, Takes.NEXT_BOOT, note, Detach(part), text=text)


def _at_next_boot(draft: Draft, change: Attach, undo: Detach) -> None:
    takes, _ = _takes(draft, reach.AT_START, "that")
    draft.add(change, None, takes, "", undo, text=attached(change.device))


def _takes(draft: Draft, why: str, what: str) -> tuple[Takes, bool]:
    """When it comes, and whether QEMU is told."""
    if not draft.here.active:
        return Takes.NEXT_BOOT, False
    if why and draft.when is When.LIVE:
        raise UnsupportedError(
            f"{what} can't come live", why=why, hint="Leave out --live: it is there at next boot."
        )
    if why:
        return Takes.NEXT_BOOT, False
    return Takes.BOTH, draft.when is not When.NEXT_BOOT


def free_port(draft: Draft) -> int:
    """One that no card is in, neither now nor at the next boot; 0: there is none."""
    if draft.then.throwaway:
        return 0  # made to be gone soon, it has none
    taken = {disk.port for disk in _all_disks(draft)} | {nic.port for nic in _all_nics(draft)}
    return next((port for port in range(1, PORTS + 1) if port not in taken), 0)
