"""The QEMU command line: a pure function of a definition and of where its things are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vmtui.backends.kvm.definition import Definition, DiskDefinition
from vmtui.model import Accel, DiskKind, Firmware
from vmtui.units import KIB

MONITORS = 4
"""QMP sockets of each VM; each serves one client at a time."""

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


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
    yield from ("-name", _options(f"guest={_escaped(name)}", **{"debug-threads": "on"}))
    yield from ("-uuid", definition.uuid)
    yield from ("-nodefaults", "-no-user-config", "-display", "none")
    yield from ("-sandbox", SANDBOX)
    yield from ("-pidfile", str(place.pidfile))
    yield from _machine(definition, place)
    yield from _boot(definition, place)
    yield from _monitors(place)
    yield from _serial_consoles(definition, place)
    yield from _disks(definition, place)
    yield from _nics(definition)
    yield from _paravirtual(place)
    yield from _virtio_consoles(definition, place)
    if definition.tpm:
        yield from _tpm(place)
    if definition.displays:
        yield from _screen(place)


def _machine(definition: Definition, place: Place) -> Iterator[str]:
    smm = "on" if definition.firmware is Firmware.SECURE_BOOT else "off"
    flash = {"pflash0": "firmware-code", "pflash1": "firmware-vars"} if place.firmware else {}
    yield from (
        "-machine",
        _options("q35", smm=smm, vmport="off", **{"dump-guest-core": "off"}, **flash),
    )
    yield from ("-accel", place.accel.value)
    yield from ("-cpu", "host" if place.accel is Accel.KVM else "max")
    yield from ("-smp", str(definition.vcpus))
    yield from ("-m", f"size={definition.memory_bytes // KIB}k")
    yield from ("-rtc", "base=utc")


def _boot(definition: Definition, place: Place) -> Iterator[str]:
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
    yield from _blockdev("firmware-code", files.code, files.code_format, read_only=True)
    yield from _blockdev("firmware-vars", files.variables, files.variables_format)


def _monitors(place: Place) -> Iterator[str]:
    for index in range(MONITORS):
        yield from ("-chardev", _socket(f"monitor{index}", place.monitor(index)))
        yield from ("-mon", _options(f"chardev=monitor{index}", mode="control"))


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
    yield from ("-chardev", f"{socket},{_options(f'logfile={_escaped(files.log)}')}")


def _disks(definition: Definition, place: Place) -> Iterator[str]:
    # Disks come before media: an empty disk does not boot, so the installer does, and once there
    # is a system on the disk it boots although the medium is still in.
    trays = 0
    for index, disk in enumerate(definition.disk):
        node = f"disk{index}"
        read_only = disk.read_only or disk.kind is DiskKind.CDROM
        yield from _blockdev(node, _disk_path(disk, place), disk.format, read_only=read_only)
        if disk.kind is DiskKind.CDROM:
            yield from ("-device", f"ide-cd,drive={node},bus=ide.{trays},bootindex={10 + trays}")
            trays += 1
        else:
            yield from ("-device", f"virtio-blk-pci,drive={node},bootindex={1 + index}")


def _disk_path(disk: DiskDefinition, place: Place) -> Path:
    return place.folder / disk.file  # an absolute `file` stays as it is


def _nics(definition: Definition) -> Iterator[str]:
    for index, nic in enumerate(definition.nic):
        if nic.network == "tap":
            # Made by somebody who may; no script of QEMU's own runs.
            options = {"id": f"net{index}", "ifname": nic.tap, "script": "no", "downscript": "no"}
            yield from ("-netdev", _options("tap", **options))
        else:
            # From this machine only: QEMU would take connections from anywhere.
            forwards = [f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in nic.forwarded]
            yield from ("-netdev", ",".join(["user", f"id=net{index}", *forwards]))
        yield from ("-device", f"virtio-net-pci,netdev=net{index},mac={nic.mac}")


def _paravirtual(place: Place) -> Iterator[str]:
    yield from ("-device", "virtio-balloon-pci,id=balloon0,free-page-reporting=on")
    yield from ("-object", "rng-random,id=rng0,filename=/dev/urandom")
    yield from ("-device", "virtio-rng-pci,rng=rng0")
    yield from ("-device", "virtio-serial-pci,id=serial0")
    yield from ("-chardev", _socket("agent", place.agent))
    yield from ("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0")


def _tpm(place: Place) -> Iterator[str]:
    yield from ("-chardev", _options("socket", id="tpm", path=_escaped(place.tpm)))
    yield from ("-tpmdev", "emulator,id=tpm0,chardev=tpm")
    yield from ("-device", "tpm-crb,tpmdev=tpm0")


def _screen(place: Place) -> Iterator[str]:
    yield from ("-vnc", f"unix:{_escaped(place.vnc)}")
    yield from ("-device", "VGA", "-device", "qemu-xhci", "-device", "usb-tablet")


def _blockdev(node: str, path: Path, file_format: str, *, read_only: bool = False) -> Iterator[str]:
    # The format is always said, never probed, and a backing file in the image never followed:
    # a guest that writes an image header to its raw disk must not choose files of the host.
    file: dict[str, object] = {"driver": "file", "filename": str(path)}
    block: dict[str, object] = {"node-name": node, "driver": file_format, "file": file}
    if read_only:
        block["read-only"] = True
    else:
        block["discard"] = "unmap"
        file["discard"] = "unmap"
    if file_format == "qcow2":
        block["backing"] = None
    yield from ("-blockdev", json.dumps(block))


def _socket(chardev: str, path: Path) -> str:
    return _options("socket", id=chardev, path=_escaped(path), server="on", wait="off")


def _options(first: str, **rest: str) -> str:
    return ",".join([first, *(f"{key}={value}" for key, value in rest.items())])


def _escaped(value: str | Path) -> str:
    """A comma ends an option's value unless it is doubled."""
    return str(value).replace(",", ",,")
