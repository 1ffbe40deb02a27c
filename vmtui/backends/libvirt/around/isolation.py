"""What keeps a domain's guest from all else, and what would tighten it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libvirt

from vmtui import ksm
from vmtui.backends.libvirt.around import doors, settings
from vmtui.backends.libvirt.around.settings import Settings
from vmtui.backends.libvirt.configuring import situation
from vmtui.backends.libvirt.configuring.attaching import parts
from vmtui.backends.libvirt.configuring.elements import Element, got, parsed, said
from vmtui.backends.libvirt.configuring.nic_knobs import connection as connection_of
from vmtui.backends.libvirt.configuring.own_knobs import OWN
from vmtui.backends.libvirt.configuring.situation import Situation
from vmtui.backends.libvirt.places import Places, qemu_of
from vmtui.errors import VmtuiError
from vmtui.hardware.around import Barrier, Mark
from vmtui.hardware.changes import Assign, Detach
from vmtui.model import VMId
from vmtui.units import plain

_CONF = "/etc/libvirt/qemu.conf"
_BRIDGED = ("bridge", "direct", "ethernet", "hostdev", "vhostuser", "vdpa")
_COMMAND_LINE = "{http://libvirt.org/schemas/domain/qemu/1.0}commandline"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A domain, and what its host says of how it keeps domains apart."""

    here: Situation
    places: Places
    host: Element  # of the capabilities
    settings: Settings | None
    pid: int | None

    @property
    def root(self) -> Element:
        """As it runs, else as it will be started."""
        return self.here.now if self.here.now is not None else self.here.next


def look(connection: libvirt.virConnect, places: Places, vm: VMId) -> Guarded:
    """Ask for all of it."""
    here = situation.look(connection, places, vm)
    process = qemu_of(places, here.name, vm) if here.active else None
    return Guarded(
        here,
        places,
        parsed(str(connection.getCapabilities())),
        settings.read(places.settings) if places.local else None,
        process.pid if process is not None else None,
    )


def barriers(one: Guarded) -> tuple[Barrier, ...]:
    """All of them."""
    return (
        _user(one),
        _seccomp(one),
        _label(one),
        _network(one),
        _shares(one),
        _passthrough(one),
        _page_sharing(one),
        _graphics(one),
        _consoles(one),
        _tpm(one),
        *_arguments(one),
        _leftovers(one),
    )


# -- its process -----------------------------------------------------------------------------


def _user(one: Guarded) -> Barrier:
    topic, number = "process user", _user_id(one)
    if number is None:
        return Barrier(topic, "not known", Mark.UNKNOWN, "libvirt tells it of QEMU's VMs only.")
    if number == 0:
        advice = (
            "Run vmtui as an ordinary user: whoever breaks out of QEMU would be root."
            if one.places.session
            else f"Set user in {_CONF}: whoever breaks out of QEMU would be root."
        )
        return Barrier(topic, "root", Mark.WEAK, advice)
    return Barrier(topic, plain(_user_name(one, number)), Mark.GOOD)


def _user_id(one: Guarded) -> int | None:
    """Of the process where that is here; else as libvirt labels it, or would."""
    if one.pid is not None:
        try:
            return Path(f"/proc/{one.pid}").stat().st_uid
        except OSError:
            pass
    if one.places.session:
        return os.getuid() if one.places.local else None
    kind = one.root.get("type", "")
    usual = said(one.host, f"host/secmodel[model='dac']/baselabel[@type='{kind}']")
    label = said(one.root, "seclabel[@model='dac']/label") or usual
    number = label.partition(":")[0].removeprefix("+")
    return int(number) if number.isdecimal() else None


def _user_name(one: Guarded, number: int) -> str:
    if one.places.local:
        try:
            return pwd.getpwuid(number).pw_name
        except KeyError:
            pass
    return f"user {number}"


def _seccomp(one: Guarded) -> Barrier:
    topic, advice = "system calls", f"Set seccomp_sandbox = 1 in {_CONF}."
    if one.pid is not None and (filtered := _is_filtered(one.pid)) is not None:
        on = filtered
    elif one.settings is None:
        return Barrier(topic, "not known", Mark.UNKNOWN, "libvirt filters them by default.")
    else:
        on = one.settings.number("seccomp_sandbox") != 0
    if on:
        return Barrier(topic, "filtered by seccomp", Mark.GOOD)
    return Barrier(topic, "not filtered", Mark.WEAK, advice)


def _is_filtered(pid: int) -> bool | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return next((line.split()[-1] == "2" for line in lines if line.startswith("Seccomp:")), None)


def _label(one: Guarded) -> Barrier:
    topic = "security label"
    models = [model.text for model in one.host.iterfind("host/secmodel/model")]
    model = next((name for name in models if name in ("apparmor", "selinux")), None)
    if model is None:
        advice = "AppArmor or SELinux would confine it" + (
            "; libvirt's system connection sets that up." if one.places.session else "."
        )
        return Barrier(topic, "none", Mark.OPEN, advice)
    own = one.root.find(f"seclabel[@model='{model}']")
    if own is None:
        # One that names no model is for all of them.
        nones = one.root.iterfind("seclabel[@type='none']")
        own = next((label for label in nones if label.get("model") is None), None)
    if own is not None and own.get("type") == "none":
        advice = f"Take <seclabel type='none'> out: vmtui edit {one.here.name}"
        return Barrier(topic, f"switched off for this VM ({model})", Mark.WEAK, advice)
    label = said(own, "label") if own is not None else ""
    return Barrier(topic, plain(label or f"{model}, one for each VM"), Mark.GOOD)


def _arguments(one: Guarded) -> Iterator[Barrier]:
    """What somebody gave QEMU behind libvirt's back."""
    if one.root.find(_COMMAND_LINE) is not None:
        advice = f"libvirt does not look into them; take them out: vmtui edit {one.here.name}"
        yield Barrier("QEMU's arguments", "some of its own", Mark.WEAK, advice)


# -- what it is connected to -----------------------------------------------------------------


def _network(one: Guarded) -> Barrier:
    cards = parts(one.root, "nic", one.here.table.cards)
    up = {name: card for name, card in cards.items() if got(card, "link", "state") != "down"}
    if not up:
        return Barrier("network", "none", Mark.GOOD)
    bridged = any(card.get("type") in _BRIDGED for card in up.values())
    return Barrier(
        "network",
        plain(", ".join(connection_of(card) or card.get("type", "") for card in up.values())),
        Mark.WEAK if bridged else Mark.OPEN,
        "Unplug its cards, or take a network of libvirt's that is isolated.",
        tuple(Assign(f"nic.{name}.link", value=False) for name in up),
    )


def _shares(one: Guarded) -> Barrier:
    shares = parts(one.root, "share")
    if not shares:
        return Barrier("shared folders", "none", Mark.GOOD)
    read_only = [share.find("readonly") is not None for share in shares.values()]
    told = (
        f"{got(share, 'source', 'dir') or tag}{' (read-only)' if ro else ''}"
        for (tag, share), ro in zip(shares.items(), read_only, strict=True)
    )
    return Barrier(
        "shared folders",
        plain(", ".join(told)),
        Mark.OPEN if all(read_only) else Mark.WEAK,
        "Detach them." if all(read_only) else "Detach them, or share them read-only.",
        tuple(Detach(f"share.{tag}") for tag in shares),
    )


def _passthrough(one: Guarded) -> Barrier:
    devices = one.root.findall("devices/hostdev")
    if not devices:
        return Barrier("passthrough", "none", Mark.GOOD)
    known = list(parts(one.root, "host"))
    others = len(devices) - len(known)
    return Barrier(
        "passthrough",
        plain(", ".join([*known, *([f"{others} others"] if others else [])])),
        Mark.WEAK,
        "Detach them: the guest can change a device's own software, which stays in it.",
    )


def _page_sharing(one: Guarded) -> Barrier:
    topic = "page sharing"
    if one.root.find("memoryBacking/nosharepages") is not None:
        return Barrier(topic, "off for this VM", Mark.GOOD)
    on: bool | None = None
    if one.places.local:
        try:
            on = ksm.read().running
        except VmtuiError:
            return Barrier(topic, "this kernel has none", Mark.GOOD)
    return Barrier(
        topic,
        {True: "on", False: "allowed, but KSM is off", None: "allowed"}[on],
        Mark.WEAK if on else Mark.OPEN,
        "Switch it off for this VM: by timing, a guest can tell what others have in memory.",
        (Assign("memory.merge", value=False),),
    )


# -- who can reach it ------------------------------------------------------------------------


def _graphics(one: Guarded) -> Barrier:
    if one.root.find("devices/graphics") is None:
        return Barrier("graphics", "none", Mark.GOOD)
    found = doors.screens(one.root, one.settings)
    advice = "Let it listen on a socket: <listen type='socket'/>"
    return _reachable("graphics", "a socket of libvirt's", found, advice)


def _consoles(one: Guarded) -> Barrier:
    advice = "Make them terminals that libvirt gives out: type='pty'"
    return _reachable("consoles", "by libvirt only", doors.consoles(one.root), advice)


def _reachable(topic: str, closed: str, found: list[str], advice: str) -> Barrier:
    """Who is on this machine can reach its own addresses, everybody the others."""
    if not found:
        return Barrier(topic, closed, Mark.GOOD)
    value = plain(", ".join(dict.fromkeys(found)))
    if all(doors.is_loopback(address) for address in found):
        return Barrier(topic, value, Mark.OPEN, f"All users of the host can reach it. {advice}")
    return Barrier(topic, value, Mark.WEAK, f"The network can reach it. {advice}")


# -- what it keeps ---------------------------------------------------------------------------


def _tpm(one: Guarded) -> Barrier:
    backend = one.root.find("devices/tpm/backend")
    if backend is None:
        return Barrier("TPM", "none", Mark.GOOD)
    if backend.get("type") != "emulator":
        advice = "The guest uses the host's own keys. Give it a TPM of its own."
        return Barrier("TPM", "the host's own", Mark.WEAK, advice)
    if backend.find("encryption") is not None:
        return Barrier("TPM", "a process of its own, its state encrypted", Mark.GOOD)
    advice = "Its state is not encrypted: who copies it has the keys in it."
    return Barrier("TPM", "a process of its own", Mark.OPEN, advice)


def _leftovers(one: Guarded) -> Barrier:
    if got(one.root, OWN, "throwaway") == "yes":
        return Barrier("leftovers", "none: it is gone once it is off", Mark.GOOD)
    advice = "vmtui sandbox makes VMs that leave nothing behind."
    return Barrier("leftovers", "its disks stay as the guest leaves them", Mark.OPEN, advice)
