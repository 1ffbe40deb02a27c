"""Changes of a domain that runs, each by libvirt's call for it. All of it is done in a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import libvirt

from vmtui.backends.libvirt.configuring import attaching
from vmtui.backends.libvirt.configuring.elements import Element, fragment, got, said
from vmtui.backends.libvirt.configuring.memory_knobs import VIRTIO_MEM
from vmtui.backends.libvirt.configuring.own_knobs import OWN, own_text
from vmtui.backends.libvirt.configuring.tuning_knobs import USUAL_PERIOD_US, pins
from vmtui.backends.libvirt.metadata import NAMESPACE, PREFIX
from vmtui.hardware.cores import parse_cpus
from vmtui.hardware.settings import setting
from vmtui.hardware.values import Value
from vmtui.units import KIB, whole_number

_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_MEASURES = ("bytes", "iops")


@dataclass(frozen=True, slots=True)
class Turn:
    """One change of what runs: `before` and `after` are its definition without it and with it."""

    domain: Any  # libvirt's own types forbid what its calls want, such as None
    before: Element
    after: Element
    key: str
    value: Value
    cards: attaching.Cards | None
    host_cpus: int
    usual_shares: int

    @property
    def part(self) -> str:
        """The id of the part that the key is about, such as `disk.vda`."""
        return self.key.rpartition(".")[0]

    @property
    def element(self) -> Element:
        """That part, as it is to be."""
        return attaching.found(self.after, self.part, self.cards)


def assign(turn: Turn) -> None:
    """Have what runs take it. Raises libvirtError."""
    _HOW.get(setting(turn.key).key, _note)(turn)


def attach(domain: libvirt.virDomain, element: Element) -> None:
    """Plug a device in."""
    domain.attachDeviceFlags(fragment(element), _LIVE)


def ask_to_detach(domain: libvirt.virDomain, element: Element) -> None:
    """Ask the guest to let go of a device; it may take its time, or refuse."""
    domain.detachDeviceFlags(fragment(element), _LIVE)


def _describe(turn: Turn) -> None:
    text = said(turn.after, "description") or None
    kind = libvirt.VIR_DOMAIN_METADATA_DESCRIPTION
    turn.domain.setMetadata(kind, text, None, None, _LIVE)


def _note(turn: Turn) -> None:
    """What vmtui notes of a VM."""
    text = own_text(turn.after)
    if text is None and turn.before.find(OWN) is None:
        return
    kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
    turn.domain.setMetadata(kind, text, PREFIX, NAMESPACE, _LIVE)


def _start_by_itself(turn: Turn) -> None:
    turn.domain.setAutostart(int(bool(turn.value)))


def _count(turn: Turn) -> None:
    assert isinstance(turn.value, int)
    turn.domain.setVcpusFlags(turn.value, _LIVE)


def _share_out(turn: Turn) -> None:
    usual = {"shares": turn.usual_shares, "global_period": USUAL_PERIOD_US, "global_quota": -1}
    names = {"shares": "cpu_shares"}
    changed = {
        names.get(tag, tag): whole_number(said(turn.after, f"cputune/{tag}")) or unset
        for tag, unset in usual.items()
        if said(turn.before, f"cputune/{tag}") != said(turn.after, f"cputune/{tag}")
    }
    if changed:
        turn.domain.setSchedulerParametersFlags(changed, _LIVE)
    if turn.key == "cpu.profile":
        _pin(turn)


def _pin(turn: Turn) -> None:
    before, after = pins(turn.before), pins(turn.after)
    for vcpu in range(whole_number(got(turn.after, "vcpu", "current")) or _most(turn.after)):
        if before.get(vcpu) != after.get(vcpu):
            turn.domain.pinVcpuFlags(vcpu, _map(after.get(vcpu, ""), turn), _LIVE)


def _most(root: Element) -> int:
    return whole_number(said(root, "vcpu")) or 1


def _pin_emulator(turn: Turn) -> None:
    cpus = got(turn.after, "cputune/emulatorpin", "cpuset")
    turn.domain.pinEmulator(_map(cpus, turn), _LIVE)


def _map(cpus: str, turn: Turn) -> tuple[bool, ...]:
    chosen = set(parse_cpus(",".join(one for one in cpus.split(",") if not one.startswith("^"))))
    chosen -= set(parse_cpus(",".join(one[1:] for one in cpus.split(",") if one.startswith("^"))))
    return tuple(not cpus or cpu in chosen for cpu in range(turn.host_cpus))


def _plug_memory(turn: Turn) -> None:
    device = turn.after.find(VIRTIO_MEM)
    assert device is not None
    turn.domain.updateDeviceFlags(fragment(device), _LIVE)


def _update(turn: Turn) -> None:
    turn.domain.updateDeviceFlags(fragment(turn.element), _LIVE)


def _resize(turn: Turn) -> None:
    assert isinstance(turn.value, int)
    name = turn.part.partition(".")[2]
    # Never less: what is cut off is gone.
    if turn.value > int(turn.domain.blockInfo(name)[0]):
        turn.domain.blockResize(name, turn.value // KIB, 0)


def _limit(turn: Turn) -> None:
    name, disk = turn.part.partition(".")[2], turn.element
    wanted = {
        f"total_{unit}_sec{ending}": whole_number(said(disk, f"iotune/total_{unit}_sec{ending}"))
        or 0
        for unit in _MEASURES
        for ending in ("", "_max")
    }
    turn.domain.setBlockIoTune(name, wanted, _LIVE)


_HOW: dict[str, Callable[[Turn], None]] = {
    "description": _describe,
    "autostart": _start_by_itself,
    "cpus": _count,
    "cpu.profile": _share_out,
    "cpu.weight": _share_out,
    "cpu.quota": _share_out,
    "cpu.period": _share_out,
    "cpu.pin": _pin,
    "cpu.emulator": _pin_emulator,
    "memory.plugged": _plug_memory,
    "disk.*.source": _update,
    "disk.*.size": _resize,
    "disk.*.iops": _limit,
    "disk.*.iops-burst": _limit,
    "disk.*.rate": _limit,
    "disk.*.rate-burst": _limit,
    "nic.*.link": _update,
    "nic.*.network": _update,
    "nic.*.rate": _update,
}
