"""The QEMU command line: a pure function of a definition and of where its things are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vmtui.backends.kvm.cards import nics, shares
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.devices import iothreads, others, ports
from vmtui.backends.kvm.drives import block, drives
from vmtui.backends.kvm.memory import balloon, machine_options, memory, virtio_mem
from vmtui.backends.kvm.options import escaped, options
from vmtui.model import SLOW_EMULATED, Accel, Firmware

MONITORS = 4
"""QMP sockets of each VM; each serves one client at a time."""

MENU_MS = 5000
"""How long the firmware waits for somebody who wants its menu."""

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

HYPERV = (
    ",hv-relaxed=on,hv-vapic=on,hv-spinlocks=0x1fff,hv-vpindex=on,hv-runtime=on,hv-synic=on,"
    "hv-time=on,hv-stimer=on,hv-frequencies=on"
)
"""What Windows looks for to know that it is a guest: fewer exits, and timers that fit."""


@dataclass(frozen=True, slots=True)
class FirmwareFiles:
    """A matched pair: the code, read-only, and this VM's own variables."""

    code: Path
    code_format: str
    variables: Path
    variables_format: str


@dataclass(frozen=True, slots=True)
class KernelFiles:
    """What is booted without any firmware's help."""

    kernel: Path
    initrd: Path | None
    cmdline: str


@dataclass(frozen=True, slots=True)
class ConsolePlace:
    """The files of one console."""

    socket: Path
    log: Path  # all that it printed since the start
    lock: Path  # held by who is attached
    hold: Path  # the socket on which that one is asked to let go


@dataclass(frozen=True, slots=True)
class Place:
    """Where one VM's things are on this machine."""

    qemu: str
    folder: Path
    runtime: Path
    accel: Accel
    firmware: FirmwareFiles | None = None
    kernel: KernelFiles | None = None
    virtiofs: tuple[str, ...] = ()  # the tags of the folders that a virtiofsd serves

    def share(self, index: int) -> Path:
        """The socket of the virtiofsd of a shared folder."""
        return self.runtime / f"share{index}.sock"

    def monitor(self, index: int) -> Path:
        """The socket of one QMP monitor."""
        return self.runtime / f"monitor{index}.sock"

    def console(self, name: str) -> ConsolePlace:
        """The files of a console, by its name."""
        stem = console_chardev(name)
        socket, log, lock, hold = (
            self.runtime / f"{stem}.{suffix}" for suffix in ("sock", "log", "lock", "hold")
        )
        return ConsolePlace(socket, log, lock, hold)

    @property
    def pidfile(self) -> Path:
        """Written by QEMU when it is ready, removed by it when it ends well."""
        return self.runtime / "qemu.pid"

    @property
    def tpm(self) -> Path:
        """swtpm's control socket."""
        return self.runtime / "tpm.sock"

    @property
    def vnc(self) -> Path:
        """The socket of the screen."""
        return self.runtime / "vnc.sock"

    @property
    def agent(self) -> Path:
        """The socket of the guest agent's channel."""
        return self.runtime / "agent.sock"


def console_chardev(name: str) -> str:
    """What QEMU calls the host's side of the console of that name."""
    return "console" if name == "serial0" else f"console-{name}"


def argv(name: str, definition: Definition, place: Place) -> list[str]:
    """All of QEMU's arguments, the program first."""
    return [place.qemu, *_arguments(name, definition, place)]


def _arguments(name: str, definition: Definition, place: Place) -> Iterator[str]:
    yield from ("-name", options(f"guest={escaped(name)}", **{"debug-threads": "on"}))
    yield from ("-uuid", definition.uuid)
    yield from ("-nodefaults", "-no-user-config", "-display", "none")
    yield from ("-sandbox", SANDBOX)
    yield from ("-pidfile", str(place.pidfile))
    if starts_held(definition):
        yield "-S"
    yield from _machine(definition, place)
    if not definition.throwaway:
        yield from ports()
    yield from _boot(definition, place)
    yield from _monitors(place)
    yield from _serial_consoles(definition, place)
    yield from iothreads(definition)
    yield from drives(definition, place.folder)
    yield from nics(definition)
    yield from shares(definition, _share_sockets(definition, place))
    yield from balloon(definition)
    yield from _paravirtual(definition, place)
    yield from _virtio_consoles(definition, place)
    if definition.tpm:
        yield from _tpm(definition, place)
    yield from others(definition, place.vnc)
    yield from virtio_mem(definition)


def starts_held(definition: Definition) -> bool:
    """Whether the guest waits until QEMU was told what its command line has no words for."""
    unplugged = any(not nic.link for nic in definition.nic)
    return unplugged or any(disk.limited for disk in definition.disk)


def _machine(definition: Definition, place: Place) -> Iterator[str]:
    smm = "on" if definition.firmware is Firmware.SECURE_BOOT else "off"
    flash = {"pflash0": "firmware-code", "pflash1": "firmware-vars"} if place.firmware else {}
    # virtiofsd reads and writes the guest's memory, so it has to be a file that both map.
    shared = bool(place.virtiofs)
    timer = {"hpet": "off"} if definition.hyperv else {}
    found = {"dump-guest-core": "off", **timer, **machine_options(definition, shared=shared)}
    yield from ("-machine", options("q35", smm=smm, vmport="off", **found, **flash))
    yield from ("-accel", place.accel.value)
    yield from ("-cpu", _cpu(definition, place.accel))
    yield from ("-smp", _smp(definition))
    yield from memory(definition, shared=shared)
    yield from ("-rtc", "base=localtime" if definition.hyperv else "base=utc")


def _cpu(definition: Definition, accel: Accel) -> str:
    if not definition.cpu and accel is Accel.TCG:
        return options("max", **dict.fromkeys(SLOW_EMULATED, "off"))
    best = "host" if accel is Accel.KVM else "max"
    model, comma, features = definition.cpu.partition(",")
    if model in ("", "host", "max"):
        model = best  # emulation has no `host`
    enlightened = HYPERV if definition.hyperv and accel is Accel.KVM else ""
    return f"{model}{comma}{features}{enlightened}"


def _smp(definition: Definition) -> str:
    layout = definition.topology
    parts: dict[str, str] = {}
    if definition.vcpus_limit > definition.vcpus:
        parts["maxcpus"] = str(definition.vcpus_limit)
    if layout is not None:
        parts |= {name: str(getattr(layout, name)) for name in ("sockets", "cores", "threads")}
    return options(str(definition.vcpus), **parts)


def _boot(definition: Definition, place: Place) -> Iterator[str]:
    menu = {"menu": "on", "splash-time": str(MENU_MS)} if definition.boot_menu else {}
    if definition.boot_order:
        yield from ("-boot", options("strict=on", **menu))  # from nothing else
    elif menu:
        yield from ("-boot", options("strict=off", **menu))
    if place.kernel:
        yield from ("-kernel", str(place.kernel.kernel))
        if place.kernel.initrd:
            yield from ("-initrd", str(place.kernel.initrd))
        if place.kernel.cmdline:
            yield from ("-append", place.kernel.cmdline)
    if place.firmware is None:
        return
    if definition.firmware is Firmware.SECURE_BOOT:
        # Without it the guest could rewrite the variables that hold the keys.
        yield from ("-global", "driver=cfi.pflash01,property=secure,value=on")
    files = place.firmware
    code = block("firmware-code", files.code, files.code_format, read_only=True)
    variables = block("firmware-vars", files.variables, files.variables_format)
    yield from ("-blockdev", json.dumps(code), "-blockdev", json.dumps(variables))


def _monitors(place: Place) -> Iterator[str]:
    for index in range(MONITORS):
        yield from ("-chardev", _socket(f"monitor{index}", place.monitor(index)))
        yield from ("-mon", options(f"chardev=monitor{index}", mode="control"))


def _serial_consoles(definition: Definition, place: Place) -> Iterator[str]:
    for name in definition.consoles:
        if name.startswith("serial"):
            yield from _console_socket(name, place)
            yield from ("-device", f"isa-serial,chardev={console_chardev(name)}")


def _virtio_consoles(definition: Definition, place: Place) -> Iterator[str]:
    for name in definition.consoles:
        if name.startswith("virtio"):
            yield from _console_socket(name, place)
            yield from ("-device", f"virtconsole,chardev={console_chardev(name)}")


def _console_socket(name: str, place: Place) -> Iterator[str]:
    files = place.console(name)
    socket = _socket(console_chardev(name), files.socket)
    yield from ("-chardev", f"{socket},{options(f'logfile={escaped(files.log)}')}")


def _share_sockets(definition: Definition, place: Place) -> dict[str, Path]:
    tags = (share.tag for share in definition.share)
    return {tag: place.share(at) for at, tag in enumerate(tags) if tag in place.virtiofs}


def _paravirtual(definition: Definition, place: Place) -> Iterator[str]:
    if definition.rng:
        yield from ("-object", "rng-random,id=rng0,filename=/dev/urandom")
        yield from ("-device", "virtio-rng-pci,rng=rng0")
    yield from ("-device", "virtio-serial-pci,id=serial0")
    if definition.agent:
        yield from ("-chardev", _socket("agent", place.agent))
        yield from ("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0")


def _tpm(definition: Definition, place: Place) -> Iterator[str]:
    yield from ("-chardev", options("socket", id="tpm", path=escaped(place.tpm)))
    yield from ("-tpmdev", "emulator,id=tpm0,chardev=tpm")
    yield from ("-device", f"tpm-{definition.tpm_model},tpmdev=tpm0")


def _socket(chardev: str, path: Path) -> str:
    return options("socket", id=chardev, path=escaped(path), server="on", wait="off")
