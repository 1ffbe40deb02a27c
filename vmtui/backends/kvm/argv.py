"""The QEMU command line: a pure function of a definition and of where its things are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vmtui.backends.kvm.cards import nics, shares
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.drives import blockdev, drives
from vmtui.backends.kvm.options import escaped, options
from vmtui.model import Accel, Firmware
from vmtui.units import KIB

MONITORS = 4
"""QMP sockets of each VM; each serves one client at a time."""

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
    initrd: Path
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
    yield from _machine(definition, place)
    yield from _boot(definition, place)
    yield from _monitors(place)
    yield from _serial_consoles(definition, place)
    yield from drives(definition, place.folder)
    yield from nics(definition)
    yield from shares(definition, _share_sockets(definition, place))
    yield from _paravirtual(place)
    yield from _virtio_consoles(definition, place)
    if definition.tpm:
        yield from _tpm(place)
    if definition.displays:
        yield from _screen(place)


def _machine(definition: Definition, place: Place) -> Iterator[str]:
    smm = "on" if definition.firmware is Firmware.SECURE_BOOT else "off"
    flash = {"pflash0": "firmware-code", "pflash1": "firmware-vars"} if place.firmware else {}
    # virtiofsd reads and writes the guest's memory, so it has to be a file that both map.
    memory = {"memory-backend": "memory"} if place.virtiofs else {}
    timer = {"hpet": "off"} if definition.hyperv else {}
    yield from (
        "-machine",
        options(
            "q35", smm=smm, vmport="off", **{"dump-guest-core": "off"}, **timer, **memory, **flash
        ),
    )
    yield from ("-accel", place.accel.value)
    yield from ("-cpu", _cpu(definition, place.accel))
    yield from ("-smp", _smp(definition))
    size = f"{definition.memory_bytes // KIB}k"
    yield from ("-m", f"size={size}")
    if place.virtiofs:
        yield from ("-object", f"memory-backend-memfd,id=memory,size={size},share=on")
    yield from ("-rtc", "base=localtime" if definition.hyperv else "base=utc")


def _cpu(definition: Definition, accel: Accel) -> str:
    best = "host" if accel is Accel.KVM else "max"
    model, comma, features = definition.cpu.partition(",")
    if model in ("", "host", "max"):
        model = best  # emulation has no `host`
    enlightened = HYPERV if definition.hyperv and accel is Accel.KVM else ""
    return f"{model}{comma}{features}{enlightened}"


def _smp(definition: Definition) -> str:
    layout = definition.topology
    if layout is None:
        return str(definition.vcpus)
    parts = {name: str(getattr(layout, name)) for name in ("sockets", "cores", "threads")}
    return options(str(definition.vcpus), **parts)


def _boot(definition: Definition, place: Place) -> Iterator[str]:
    if definition.boot_order:
        yield from ("-boot", "strict=on")  # from nothing else
    if place.kernel:
        yield from ("-kernel", str(place.kernel.kernel))
        yield from ("-initrd", str(place.kernel.initrd))
        yield from ("-append", place.kernel.cmdline)
    if place.firmware is None:
        return
    if definition.firmware is Firmware.SECURE_BOOT:
        # Without it the guest could rewrite the variables that hold the keys.
        yield from ("-global", "driver=cfi.pflash01,property=secure,value=on")
    files = place.firmware
    yield from blockdev("firmware-code", files.code, files.code_format, read_only=True)
    yield from blockdev("firmware-vars", files.variables, files.variables_format)


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


def _paravirtual(place: Place) -> Iterator[str]:
    yield from ("-device", "virtio-balloon-pci,id=balloon0,free-page-reporting=on")
    yield from ("-object", "rng-random,id=rng0,filename=/dev/urandom")
    yield from ("-device", "virtio-rng-pci,rng=rng0")
    yield from ("-device", "virtio-serial-pci,id=serial0")
    yield from ("-chardev", _socket("agent", place.agent))
    yield from ("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0")


def _tpm(place: Place) -> Iterator[str]:
    yield from ("-chardev", options("socket", id="tpm", path=escaped(place.tpm)))
    yield from ("-tpmdev", "emulator,id=tpm0,chardev=tpm")
    yield from ("-device", "tpm-crb,tpmdev=tpm0")


def _screen(place: Place) -> Iterator[str]:
    yield from ("-vnc", f"unix:{escaped(place.vnc)}")
    yield from ("-device", "VGA", "-device", "qemu-xhci", "-device", "usb-tablet")


def _socket(chardev: str, path: Path) -> str:
    return options("socket", id=chardev, path=escaped(path), server="on", wait="off")
