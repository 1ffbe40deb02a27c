"""What an edited `vm.toml` changes, drafted by settings and parts where there are such."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vmtui.backends.kvm.configuring import coming, going
from vmtui.backends.kvm.configuring.bindings import DISK, NIC, VM, Binding
from vmtui.backends.kvm.configuring.drafting import Draft
from vmtui.backends.kvm.configuring.special import SPECIAL
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.identity import CARD_KEYS, DRIVE_KEYS, pairs
from vmtui.errors import InputError, RefusedError
from vmtui.hardware.changes import Assign, Attach, Change, Detach
from vmtui.hardware.devices import ConsoleKind, Device, HostBus, HostDevice, NewConsole
from vmtui.parts import SharedFolder


async def take(draft: Draft, after: Definition) -> None:
    """Draft every difference between what is stored and `after`."""
    before = draft.here.stored
    if before.uuid != after.uuid:
        raise RefusedError(
            f"{draft.here.name} keeps its uuid",
            why="it is how the VM is told from others, whatever their names",
            hint="For another VM like it: vmtui clone.",
        )
    for change in _differences("", VM, before, after):
        if change.key == "cpus.max" and before.vcpus_max == after.vcpus_max:
            continue  # not said: it goes with the number
        special = SPECIAL.get(change.key)
        if special is None:
            draft.assign(change)
        else:
            await special(draft, change)
    absent = await asyncio.to_thread(_absent, draft.here.folder, before, after)
    if absent:
        raise InputError(f"there is no file {str(absent)!r}", hint="vmtui attach makes new disks.")
    _take_disks(draft, before, after)
    _take_nics(draft, before, after)
    for other in _others(before, after):
        if isinstance(other, Attach):
            await coming.attach(draft, other)
        elif isinstance(other, Detach):
            going.detach(draft, other)


def _absent(folder: Path, before: Definition, after: Definition) -> Path | None:
    """The first file of a drive that was not there before, and is not there."""
    known = {disk.file for disk in before.disk} | {""}
    paths = (folder / disk.file for disk in after.disk if disk.file not in known)
    return next((path for path in paths if not path.exists()), None)


def _differences(
    prefix: str, bindings: Mapping[str, Binding], before: Any, after: Any
) -> list[Assign]:
    return [
        Assign(prefix + key, wanted)
        for key, binding in bindings.items()
        if (wanted := binding.read(after)) != binding.read(before)
    ]


def _take_disks(draft: Draft, before: Definition, after: Definition) -> None:
    names = {one.then: one.name for one in draft.here.drives if one.then is not None}
    for at, then in pairs(before.disk, after.disk, *DRIVE_KEYS):
        if at is None and then is not None:
            disk = after.disk[then]
            coming.check_users(draft, draft.here.folder / disk.file)
            change = Attach(going.as_device(draft.here.folder, disk))
            coming.draft_disk(draft, change, disk)
        elif at is not None and then is None:
            going.detach(draft, Detach(f"disk.{names[at]}"))
        elif at is not None and then is not None:
            prefix = f"disk.{names[at]}."
            for one in _differences(prefix, DISK, before.disk[at], after.disk[then]):
                draft.assign(one)


def _take_nics(draft: Draft, before: Definition, after: Definition) -> None:
    names = {one.then: one.name for one in draft.here.cards if one.then is not None}
    for at, then in pairs(before.nic, after.nic, *CARD_KEYS):
        if at is None and then is not None:
            nic = after.nic[then]
            coming.draft_nic(draft, Attach(going.as_card(nic)), nic)
        elif at is not None and then is None:
            going.detach(draft, Detach(f"nic.{names[at]}"))
        elif at is not None and then is not None:
            for one in _differences(f"nic.{names[at]}.", NIC, before.nic[at], after.nic[then]):
                draft.assign(one)


def _others(before: Definition, after: Definition) -> list[Change]:
    """Parts that come and go whole, each by what tells it from others."""
    shares = {share.tag: share for share in after.share}
    devices = {device.address: device for device in after.host_device}
    gone = [
        *(f"share.{share.tag}" for share in before.share if share.tag not in shares),
        *(f"host.{one.address}" for one in before.host_device if one.address not in devices),
        *(f"console.{name}" for name in before.consoles if name not in after.consoles),
    ]
    for share in before.share:
        shares.pop(share.tag, None)
    for one in before.host_device:
        devices.pop(one.address, None)
    come: list[Device] = [
        *(
            SharedFolder(Path(share.path), share.tag, share.read_only, share.protocol)
            for share in shares.values()
        ),
        *(HostDevice(HostBus(one.bus), one.address, one.label) for one in devices.values()),
        *(
            NewConsole(ConsoleKind(kind))
            for name, kind in zip(after.consoles, after.console, strict=True)
            if name not in before.consoles
        ),
    ]
    return [*(Detach(part) for part in gone), *(Attach(device) for device in come)]
