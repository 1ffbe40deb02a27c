"""A domain's hardware as a tree, out of its two definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from vmtui.backends.libvirt.configuring import attaching, reach
from vmtui.backends.libvirt.configuring.boot_knobs import is_uefi
from vmtui.backends.libvirt.configuring.device_knobs import has_tpm, has_watchdog
from vmtui.backends.libvirt.configuring.disk_knobs import is_tray, source
from vmtui.backends.libvirt.configuring.elements import Element, got, said
from vmtui.backends.libvirt.configuring.knobs import ranges
from vmtui.backends.libvirt.configuring.memory_knobs import VIRTIO_MEM, has_balloon, size_of
from vmtui.backends.libvirt.configuring.situation import VIRTIO_SOUND_SINCE, Situation
from vmtui.backends.libvirt.configuring.tuning_knobs import USUAL_PERIOD_US, USUAL_WEIGHT
from vmtui.hardware.settings import SETTINGS, PartKind, Setting, setting
from vmtui.hardware.tree import Entry, Hardware, Part, Takes
from vmtui.hardware.values import Value
from vmtui.units import size

_SLOW_BUSES = ("sata", "ide", "fdc")
_ONES = {
    PartKind.VM: "vm",
    PartKind.CPU: "cpu",
    PartKind.MEMORY: "memory",
    PartKind.FIRMWARE: "firmware",
    PartKind.TPM: "tpm",
    PartKind.DISPLAY: "display",
}

_USUAL = {"cpu.weight": USUAL_WEIGHT, "cpu.period": USUAL_PERIOD_US}

# What a domain has to have for a setting to mean anything.
_NEEDS: dict[str, Callable[[Element], bool]] = {
    "memory.target": has_balloon,
    "memory.plugged": lambda root: root.find("maxMemory") is not None,
    "balloon.reporting": has_balloon,
    "balloon.deflate": has_balloon,
    "firmware.keys": is_uefi,
    "tpm.version": has_tpm,
    "tpm.encrypted": has_tpm,
    "watchdog.action": has_watchdog,
}


def hardware(situation: Situation) -> Hardware:
    """All parts, in the order of the settings."""
    tree = _Tree(situation)
    found = [*tree.ones(), *tree.disks(), *tree.cards(), *tree.shares(), *tree.host_devices()]
    order = list(PartKind)
    found += tree.consoles()
    found.sort(key=lambda part: order.index(part.kind))
    return Hardware(situation.vm, situation.name, situation.active, tuple(found))


class _Tree:
    """The parts of one situation."""

    def __init__(self, situation: Situation) -> None:
        self._here = situation
        self._now, self._next = situation.now, situation.next
        self._table = situation.table

    # -- parts that every VM has, or could have ----------------------------------------------

    def ones(self) -> Iterator[Part]:
        rows: dict[str, list[Setting]] = {}
        for one in SETTINGS:
            if "*" not in one.key:
                part = _ONES.get(one.part) or one.key.partition(".")[0]
                rows.setdefault(part, []).append(one)
        for part, settings in rows.items():
            entries = tuple(self._entry(one.key) for one in settings if self._applies(one.key))
            if entries:
                kind = settings[0].part
                label = kind.value if part in _ONES.values() else settings[0].label
                label = self._here.name if kind is PartKind.VM else label
                yield Part(part, kind, label, entries, notes=self._notes(part))

    def _applies(self, key: str) -> bool:
        if key == "autostart":
            return True
        has = _NEEDS.get(key)
        return self._table.has(key) and (has is None or has(self._next))

    def _notes(self, part: str) -> tuple[str, ...]:
        if part == "firmware":
            words = (("files", "os/loader"), ("variables", "os/nvram"), ("kernel", "os/kernel"))
            root = self._now if self._now is not None else self._next
            return tuple(f"{word}: {text}" for word, path in words if (text := said(root, path)))
        taken = self._now.find(f"{VIRTIO_MEM}/target/current") if self._now is not None else None
        if part == "memory" and taken is not None:
            has = size(size_of(taken), digits=2)
            return (f"the guest has taken {has} of what is plugged in",)
        if part == "cpu" and said(self._next, "cputune/quota"):
            return (f"each vCPU has a quota of its own: {said(self._next, 'cputune/quota')} µs",)
        return ()

    # -- entries -----------------------------------------------------------------------------

    def _entry(self, key: str) -> Entry:
        takes, why = reach.takes(self._here, key)
        before, after = self._here.value(self._now, key), self._here.value(self._next, key)
        if self._now is not None and self._comes_to(key, before, after):
            before = after
        choices = self._choices(key)
        wanted = self._here.asked_bytes if key == "memory.target" and self._here.active else None
        return Entry(key, before, after, takes, why, choices, wanted)

    def _comes_to(self, key: str, before: Value, after: Value) -> bool:
        """Whether what runs is but what an unset value comes to there."""
        if key == "cpu.model":
            return _chosen(str(before), str(after))
        if key in _USUAL:
            return after is None and before == _USUAL[key]
        everywhere = ranges(range(self._here.host_cpus))
        if key == "cpu.emulator":
            return after == "" and before == everywhere
        places = {pin.partition("=")[2] for pin in str(before).split()}
        return key == "cpu.pin" and after == "" and places == {everywhere}

    def _choices(self, key: str) -> tuple[str, ...]:
        known = setting(key).form.choices
        if key == "sound" and self._here.libvirt_version < VIRTIO_SOUND_SINCE:
            return tuple(choice for choice in known if choice != "virtio")
        if key.endswith(".bus"):
            return tuple(choice for choice in known if choice != "nvme")
        return known

    # -- parts of which there are several ----------------------------------------------------

    def _pairs(self, kind: str) -> Iterator[tuple[str, Element | None, Element | None]]:
        """Each part by name, as it is now and at the next boot."""
        now = attaching.parts(self._now, kind, self._table.cards) if self._now is not None else {}
        then = attaching.parts(self._next, kind, self._table.cards)
        for name in dict.fromkeys((*now, *then)):
            yield name, now.get(name), then.get(name)

    def _part(
        self,
        part_id: str,
        kind: PartKind,
        label: str,
        both: tuple[Element | None, Element | None],
        *,
        keys: Sequence[str] = (),
        fixed: str = "",
        notes: tuple[str, ...] = (),
    ) -> Part:
        active = self._here.active
        return Part(
            part_id,
            kind,
            label,
            tuple(self._entry(f"{part_id}.{key}") for key in keys),
            there_now=both[0] is not None,
            there_next=both[1] is not None,
            detach=Takes.NEXT_BOOT if fixed or not active else Takes.BOTH,
            detach_why=fixed if active else "",
            notes=notes,
        )

    def disks(self) -> Iterator[Part]:
        for name, now, then in self._pairs("disk"):
            disk = then if then is not None else now
            assert disk is not None
            tray, bus = is_tray(disk), got(disk, "target", "bus")
            keys = _TRAY_KEYS if tray else _DISK_KEYS
            yield self._part(
                f"disk.{name}",
                PartKind.DISK,
                f"{'cdrom' if tray else 'disk'} {name}",
                (now, then),
                keys=keys,
                fixed=f"{bus.upper()} can't be unplugged" if bus in _SLOW_BUSES else "",
                notes=(source(disk),) if source(disk) and not tray else (),
            )

    def cards(self) -> Iterator[Part]:
        keys = ("link", "network", "model", "mac", "rate")
        for name, now, then in self._pairs("nic"):
            label = f"network card {name}"
            yield self._part(f"nic.{name}", PartKind.NIC, label, (now, then), keys=keys)

    def shares(self) -> Iterator[Part]:
        for name, now, then in self._pairs("share"):
            label, why = (
                f"shared folder {name}",
                "a shared folder is not taken from a running guest",
            )
            yield self._part(f"share.{name}", PartKind.SHARE, label, (now, then), fixed=why)

    def host_devices(self) -> Iterator[Part]:
        for name, now, then in self._pairs("host"):
            device = then if then is not None else now
            bus = device.get("type", "").upper() if device is not None else ""
            yield self._part(f"host.{name}", PartKind.HOST_DEVICE, f"{bus} {name}", (now, then))

    def consoles(self) -> Iterator[Part]:
        for kind in ("serial", "console"):
            for name, now, then in self._pairs(kind):
                why = "a console is not taken from a running guest"
                yield self._part(
                    f"console.{name}", PartKind.CONSOLE, f"console {name}", (now, then), fixed=why
                )


_TRAY_KEYS = ("source", "bus", "cache")
_DISK_KEYS = ("size", "bus", "cache", "discard", "iops", "iops-burst", "rate", "rate-burst")


def _chosen(before: str, after: str) -> bool:
    """Whether a CPU that runs is what libvirt made of the one that is stored, when it started."""
    model, *features = after.split(",")
    running, *has = before.split(",")
    return after == "host-model" or (model == running and {*features} <= {*has})
