"""Devices that come to a domain: checked, and given what was left open."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import count

import libvirt

from vmtui.backends.libvirt import offers
from vmtui.backends.libvirt.configuring import checks
from vmtui.backends.libvirt.configuring.draft import Draft, Volume
from vmtui.backends.libvirt.configuring.situation import capabilities
from vmtui.backends.libvirt.listing import attempt, attempt_all
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.storage import POOL, planned_folder
from vmtui.hardware.devices import Device, HostDevice, NewDisk
from vmtui.model import DiskKind
from vmtui.parts import NicSpec, SharedFolder


def resolved(
    connection: libvirt.virConnect, places: Places, draft: Draft, device: Device
) -> Device:
    """The device, ready to be put in. Raises what `Configures.plan` does.

    It is the same each time that it is asked from the same base: what was shown is what is done.
    """
    here = draft.here
    match device:
        case NewDisk(path=None, size_bytes=int(size_bytes)):
            name = _new_name(connection, draft)
            draft.volumes.append(Volume(name, size_bytes))
            return replace(device, path=planned_folder(connection, places) / name)
        case NewDisk(path=path) if path is not None:
            lent = device.kind is DiskKind.CDROM or device.read_only
            checks.check_file(connection, places, here, path, medium=lent)
        case HostDevice():
            checks.check_host_device(connection, places, device)
        case NicSpec():
            checks.check_card(connection, places, here, device)
            return replace(device, mac=device.mac or _mac(draft))
        case SharedFolder():
            share = offers.share(capabilities(connection, here.next, places), device)
            return replace(device, protocol="virtiofs" if share.virtiofs else "9p")
    return device


def _mac(draft: Draft) -> str:
    seed = f"{draft.here.vm} {draft.here.base} {len(draft.steps)}".encode()
    tail = hashlib.sha256(seed).digest()[:3]
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in tail)


def _new_name(connection: libvirt.virConnect, draft: Draft) -> str:
    """One that no volume has. The pool itself is made only once something goes into it."""
    taken = {volume.name for volume in draft.volumes}
    pool = attempt(lambda: connection.storagePoolLookupByName(POOL), None)
    if pool is not None:
        taken |= {str(volume.name()) for volume in attempt_all(pool.listAllVolumes)}
    names = (f"{draft.here.name}-{number}.qcow2" for number in count(1))
    return next(name for name in names if name not in taken)
