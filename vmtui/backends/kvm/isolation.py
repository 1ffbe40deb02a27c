"""What keeps a direct VM's guest from all else, and what would tighten it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vmtui import ksm
from vmtui.backends.kvm import swtpm
from vmtui.backends.kvm.argv import SANDBOX, Place
from vmtui.backends.kvm.configuring.situation import Situation
from vmtui.errors import VmtuiError
from vmtui.hardware.around import Barrier, Mark
from vmtui.hardware.changes import Assign, Detach
from vmtui.units import plain

_DENIED = tuple(word.removesuffix("=deny") for word in SANDBOX.split(",")[1:])


def barriers(here: Situation, place: Place, pid: int | None) -> tuple[Barrier, ...]:
    """All of them: of a VM that runs as the kernel tells of `pid`, else as it will be started.

    Blocks, for a moment.
    """
    return (
        _user(pid),
        _seccomp(pid),
        _label(pid),
        _network(here),
        _shares(here),
        _passthrough(here),
        _page_sharing(here),
        *_sockets(here, place),
        _tpm(here),
        _leftovers(here),
    )


def _user(pid: int | None) -> Barrier:
    user = os.getuid()
    if pid is not None:
        with suppress(OSError):
            user = Path(f"/proc/{pid}").stat().st_uid
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    if user == 0:
        advice = "Run vmtui as an ordinary user: whoever breaks out of QEMU would be root."
        return Barrier("process user", "root", Mark.WEAK, advice)
    return Barrier("process user", plain(name), Mark.GOOD)


def _seccomp(pid: int | None) -> Barrier:
    denied = "seccomp denies " + ", ".join(_DENIED)
    if pid is None or _status(pid).get("Seccomp") == "2":
        return Barrier("system calls", denied, Mark.GOOD)
    return Barrier(
        "system calls", "not filtered", Mark.WEAK, "Install a QEMU that was built with seccomp."
    )


def _label(pid: int | None) -> Barrier:
    label = "unconfined"
    with suppress(OSError):
        raw = Path(f"/proc/{pid or 'self'}/attr/current").read_text("utf-8", "replace")
        label = raw.strip("\0\n ") or label
    if label.startswith("unconfined") or ":unconfined_t" in label:
        advice = "AppArmor or SELinux would confine it; libvirt's system connection sets that up."
        return Barrier("security label", "none", Mark.OPEN, advice)
    return Barrier("security label", plain(label), Mark.GOOD)


def _network(here: Situation) -> Barrier:
    cards = [(card.name, here.nic_then(card)) for card in here.cards]
    up = [(name, nic) for name, nic in cards if nic and nic.link and nic.network != "isolated"]
    if not up:
        isolated = any(nic and nic.link for _, nic in cards)
        return Barrier("network", "isolated" if isolated else "none", Mark.GOOD)
    bridged = any(nic.network in ("bridge", "tap") for _, nic in up)
    return Barrier(
        "network",
        ", ".join(plain(nic.label) for _, nic in up),
        Mark.WEAK if bridged else Mark.OPEN,
        "Unplug its cards, or isolate them: it reaches all that this machine reaches.",
        tuple(Assign(f"nic.{name}.link", value=False) for name, _ in up),
    )


def _shares(here: Situation) -> Barrier:
    shares = here.stored.share
    if not shares:
        return Barrier("shared folders", "none", Mark.GOOD)
    writable = any(not share.read_only for share in shares)
    return Barrier(
        "shared folders",
        ", ".join(
            plain(share.path) + (" (read-only)" if share.read_only else "") for share in shares
        ),
        Mark.WEAK if writable else Mark.OPEN,
        "Detach them, or share them read-only." if writable else "Detach them.",
        tuple(Detach(f"share.{share.tag}") for share in shares),
    )


def _passthrough(here: Situation) -> Barrier:
    devices = here.stored.host_device
    if not devices:
        return Barrier("passthrough", "none", Mark.GOOD)
    return Barrier(
        "passthrough",
        ", ".join(plain(device.label or device.address) for device in devices),
        Mark.WEAK,
        "Detach them: the guest can change a device's own software, which stays in it.",
    )


def _page_sharing(here: Situation) -> Barrier:
    try:
        on = ksm.read().running
    except VmtuiError:
        return Barrier("page sharing", "this kernel has none", Mark.GOOD)
    if not here.stored.merge:
        return Barrier("page sharing", "off for this VM", Mark.GOOD)
    return Barrier(
        "page sharing",
        "on" if on else "allowed, but KSM is off",
        Mark.WEAK if on else Mark.OPEN,
        "Switch it off for this VM: by timing, a guest can tell what others have in memory.",
        (Assign("memory.merge", value=False),),
    )


def _sockets(here: Situation, place: Place) -> Iterator[Barrier]:
    """Screen and consoles are sockets in a folder that has to be this user's alone."""
    try:
        private = place.runtime.parent.stat().st_mode & 0o077 == 0
    except OSError:
        private = True  # it is made so
    mark = Mark.GOOD if private else Mark.WEAK
    advice = "" if private else f"chmod 700 {place.runtime.parent}"
    value = "sockets of this user's" if private else "sockets that others can reach"
    yield Barrier("graphics", value if here.now.displays else "none", mark, advice)
    yield Barrier("consoles", value, mark, advice)


def _tpm(here: Situation) -> Barrier:
    chip = swtpm.chip_of(here.stored, here.folder)
    if chip is None:
        return Barrier("TPM", "none", Mark.GOOD)
    if chip.key is not None:
        return Barrier("TPM", "a process of its own, its state encrypted", Mark.GOOD)
    advice = "Its state is not encrypted: who copies the VM's folder has the keys in it."
    return Barrier("TPM", "a process of its own", Mark.OPEN, advice)


def _leftovers(here: Situation) -> Barrier:
    if here.stored.throwaway:
        return Barrier("leftovers", "none: it is gone once it is off", Mark.GOOD)
    advice = "vmtui sandbox makes VMs that leave nothing behind."
    return Barrier("leftovers", "its disks stay as the guest leaves them", Mark.OPEN, advice)


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)
