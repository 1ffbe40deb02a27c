"""Parts that are detached: what stays of them, and how they are attached again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from vmtui.backends.kvm.configuring import live_cards, live_drives, reach
from vmtui.backends.kvm.configuring.drafting import Draft
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import DiskDefinition, NicDefinition
from vmtui.backends.kvm.identity import drive_names
from vmtui.errors import InputError, UnsupportedError
from vmtui.hardware.changes import Assign, Attach, Change, Detach, When
from vmtui.hardware.devices import ConsoleKind, HostBus, HostDevice, NewConsole, NewDisk
from vmtui.hardware.tree import Takes
from vmtui.parts import NetworkKind, NicSpec, SharedFolder
from vmtui.units import plain


def detach(draft: Draft, change: Detach) -> None:
    """Find a part that can go, and draft that."""
    kind, _, name = change.part.partition(".")
    match kind:
        case "disk":
            _disk(draft, change, name)
        case "nic":
            _nic(draft, change, name)
        case "host":
            _host_device(draft, change, name)
        case "share" | "console":
            _other(draft, change, kind, name)
        case _:
            raise InputError(
                f"{change.part} can't be detached",
                hint="Disks, network cards, shared folders, host devices and consoles can.",
            )


def _disk(draft: Draft, change: Detach, name: str) -> None:
    draft.here.drive(name)
    then, now = draft.disks[name], draft.disks_now[name]
    shown = then or now
    if shown is None:
        raise InputError(f"{draft.here.name} has no disk {name} any more")
    why = reach.disk_goes(draft.here, name) if now is not None else ""
    note = why or _stays(shown, live=draft.here.active and now is not None)
    takes, goes_live = _takes(draft, why, name, there=now is not None)
    if draft.when is not When.LIVE:
        draft.disks[name] = None
    if goes_live:
        draft.disks_now[name] = None
    undo = Attach(as_device(draft.here.folder, shown)) if not shown.base else None
    draft.add(
        change,
        None,
        takes,
        note,
        undo,
        text=f"− disk {name}",
        live=partial(live_drives.detach_disk, name=name) if goes_live else None,
    )


def _stays(disk: DiskDefinition, *, live: bool) -> str:
    notes = ["its file stays"] if disk.file else []
    if disk.base:
        notes.append(f"it leans on {disk.base[0].file}, which vm.toml will not tell then")
    if live:
        # Linux lets go of a disk that it has mounted.
        notes.append("unmount it in the guest first")
    return "; ".join(notes)


def as_device(folder: Path, disk: DiskDefinition) -> NewDisk:
    """What attaches the same drive again."""
    return NewDisk(
        path=folder / disk.file if disk.file else None,
        kind=disk.kind,
        bus=disk.guest_bus,
        cache=disk.cache,
        discard=disk.discard,
        read_only=disk.read_only,
    )


def _nic(draft: Draft, change: Detach, name: str) -> None:
    draft.here.card(name)
    then, now = draft.nics[name], draft.nics_now[name]
    shown = then or now
    if shown is None:
        raise InputError(f"{draft.here.name} has no network card {name} any more")
    why = reach.nic_goes(draft.here, name) if now is not None else ""
    takes, goes_live = _takes(draft, why, name, there=now is not None)
    if draft.when is not When.LIVE:
        draft.nics[name] = None
    if goes_live:
        draft.nics_now[name] = None
    undo = Attach(as_card(shown)) if shown.network != "tap" else None
    draft.add(
        change,
        None,
        takes,
        why,
        undo,
        text=f"− network card {name} ({plain(shown.label)})",
        live=partial(live_cards.detach_nic, name=name) if goes_live else None,
    )


def as_card(nic: NicDefinition) -> NicSpec:
    """What attaches the same card again."""
    return NicSpec(NetworkKind(nic.network), nic.bridge, nic.forwards, nic.mac, nic.model)


def _host_device(draft: Draft, change: Detach, address: str) -> None:
    now = draft.here.now.host_device if draft.here.active else ()
    both = {device.address: device for device in (*draft.then.host_device, *now)}
    device = both.get(address)
    if device is None:
        raise InputError(f"{draft.here.name} has no host device {address!r}")
    there = any(one.address == address for one in now)
    why = reach.host_device(draft.here, device) if there else ""
    takes, goes_live = _takes(draft, why, address, there=there)
    if draft.when is not When.LIVE:
        left = tuple(one for one in draft.then.host_device if one.address != address)
        draft.then = msgspec.structs.replace(draft.then, host_device=left)
    draft.add(
        change,
        None,
        takes,
        why,
        Attach(HostDevice(HostBus(device.bus), address, device.label)),
        text=f"− {device.bus.upper()} device {address}",
        live=partial(live_cards.detach_host, made=device) if goes_live else None,
    )


def _other(draft: Draft, change: Detach, kind: str, name: str) -> None:
    """What QEMU is told of when it starts, and never after."""
    then, undo = draft.then, None
    if kind == "share":
        shares = {share.tag: share for share in then.share}
        if share := shares.pop(name, None):
            folder = SharedFolder(Path(share.path), share.tag, share.read_only, share.protocol)
            undo = Attach(folder)
        draft.then = msgspec.structs.replace(then, share=tuple(shares.values()))
    elif name in then.consoles:
        at = then.consoles.index(name)
        undo = Attach(NewConsole(ConsoleKind(then.console[at])))
        left = tuple(kind for place, kind in enumerate(then.console) if place != at)
        draft.then = msgspec.structs.replace(then, console=left)
    if undo is None:
        raise InputError(f"{draft.here.name} has no {kind} {name!r}")
    takes, _ = _takes(draft, reach.AT_START, name, there=True)
    draft.add(change, None, takes, "", undo, text=f"− {kind} {plain(name)}")


def _takes(draft: Draft, why: str, what: str, *, there: bool) -> tuple[Takes, bool]:
    """When it goes, and whether QEMU is told."""
    if not draft.here.active or not there:
        return Takes.NEXT_BOOT, False
    if why and draft.when is When.LIVE:
        raise UnsupportedError(
            f"{what} can't go live", why=why, hint="Leave out --live: it is gone at next boot."
        )
    if why:
        return Takes.NEXT_BOOT, False
    return Takes.BOTH, draft.when is not When.NEXT_BOOT


def changes_back(draft: Draft, after: Definition) -> tuple[Change, ...]:
    """What brings back what was, the last first, by the names that parts have afterwards."""
    renamed: dict[str, str | None] = {}
    if not draft.here.active:
        # The names of a VM that is off go by the order of its parts.
        left = [name for name, disk in draft.disks.items() if disk is not None]
        renamed |= {f"disk.{one.name}": None for one in draft.here.drives}
        renamed |= _renamed("disk", left, drive_names(after))
        left = [name for name, nic in draft.nics.items() if nic is not None]
        renamed |= {f"nic.{one.name}": None for one in draft.here.cards}
        renamed |= _renamed("nic", left, [f"net{number}" for number in range(len(left))])
    undo = (_by_new_name(work.undo, renamed) for work in reversed(draft.works) if work.undo)
    return tuple(change for change in undo if change is not None)


def _renamed(kind: str, old: Sequence[str], new: Sequence[str]) -> dict[str, str | None]:
    names = zip(old, new, strict=True)
    return {f"{kind}.{before}": f"{kind}.{name}" for before, name in names}


def _by_new_name(change: Change, renamed: dict[str, str | None]) -> Change | None:
    """None: its part is not there, and comes back whole."""
    match change:
        case Detach(part=part):
            found = renamed.get(part, part)
            return Detach(found) if found else None
        case Assign(key=key) if key.startswith(("disk.", "nic.")):
            part, _, rest = key.rpartition(".")
            found = renamed.get(part, part)
            return Assign(f"{found}.{rest}", change.value) if found else None
    return change
