"""virt-v2v: gives a guest from another hypervisor the drivers for the hardware of VMs here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from vmtui.command import run
from vmtui.errors import MissingError, OperationError
from vmtui.images.qemu_img import limited
from vmtui.model import Accel
from vmtui.progress import Progress, ProgressSink, no_progress
from vmtui.units import GIB, MIB
from vmtui.whole import whole_in_thread

TIMEOUT_S = 2 * 3600.0
MEMORY_BYTES = 8 * GIB
"""Of address space. The VM in which it opens the disks has 2.5 GiB, and QEMU's own beside that."""

_PROGRAM = "virt-v2v-in-place"
_PATH = (os.defpath, "/usr/libexec")  # Fedora has it there
_LINES_TOLD = 6


class _Message(msgspec.Struct, frozen=True):
    type: str
    message: str


def installed() -> str:
    """Where the program is; "" if it is not."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_PATH))
    return shutil.which(_PROGRAM, path=path) or ""


@dataclass(frozen=True, slots=True)
class VirtV2v:
    """How guests are converted: with `accel` for the VM in which it opens their disks."""

    program: str
    accel: Accel

    @classmethod
    def found(cls, accel: Accel) -> VirtV2v:
        """The one that is installed. Raises MissingError."""
        program = installed()
        if not program:
            raise MissingError(
                "virt-v2v is not installed",
                hint="Install virt-v2v and nbdkit, or import without --virt-v2v.",
            )
        return cls(program, accel)

    async def convert(
        self, disks: Sequence[Path], progress: ProgressSink = no_progress
    ) -> tuple[str, ...]:
        """Change the guest on `disks`, qcow2 files that nobody else has; what it told of that.

        Raises OperationError; the disks are of no use then.
        """
        told = _Told(progress)
        # Not beside the disks: the path of a socket may have 107 bytes.
        with tempfile.TemporaryDirectory(prefix="vmtui-v2v-") as name:
            folder = Path(name)
            await whole_in_thread((folder / "vm.xml").write_bytes, _definition(disks))
            try:
                await run(
                    *self._argv(folder, disks[0].parent),
                    timeout_s=TIMEOUT_S,
                    on_output=told.take,
                )
            except OperationError as error:
                why = "\n".join(_reason(error.why))
                raise OperationError(
                    "virt-v2v could not convert the guest", why=why, hint=_hint(why)
                ) from error
        return tuple(f"virt-v2v: {message}" for message in told.notes)

    def _argv(self, folder: Path, large: Path) -> tuple[str, ...]:
        setting = {
            "LC_ALL": "C",
            # Without libvirt: its daemon may be another user's, and may not read the disks.
            "LIBGUESTFS_BACKEND": "direct",
            # What takes longest to make is shared with all else that uses libguestfs.
            "LIBGUESTFS_CACHEDIR": os.environ.get("LIBGUESTFS_CACHEDIR", "/var/tmp"),  # noqa: S108
            "TMPDIR": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "VIRT_V2V_TMPDIR": str(large),
        }
        if self.accel is Accel.TCG:
            setting["LIBGUESTFS_BACKEND_SETTINGS"] = "force_tcg"
        said = (f"{key}={value}" for key, value in setting.items())
        convert = (self.program, "--machine-readable", "-i", "libvirtxml", str(folder / "vm.xml"))
        # Killed outright, or by a pipe that nobody reads any more, it would leave a qemu-nbd.
        alive = ("env", "--ignore-signal=PIPE", *said)
        return limited(*alive, *convert, memory_bytes=MEMORY_BYTES, end_by="TERM")


class _Told:
    """What it prints: a line of JSON for each message, and the same for people."""

    def __init__(self, progress: ProgressSink) -> None:
        self.notes: list[str] = []
        self._progress = progress
        self._rest = ""

    def take(self, piece: str) -> None:
        *lines, self._rest = (self._rest + piece).split("\n")
        for line in lines:
            try:
                said = msgspec.json.decode(line, type=_Message)
            except msgspec.MsgspecError:
                continue
            if said.type == "message":
                self._progress(Progress(f"virt-v2v: {said.message}", stage="virt-v2v"))
            elif said.type in ("warning", "info"):
                self.notes.append(said.message)


def _definition(disks: Sequence[Path]) -> bytes:
    """The VM as libvirt's XML, of which it takes the disks."""
    domain = ET.Element("domain", type="kvm")
    for tag, text in (("name", "guest"), ("memory", str(512 * MIB // 1024)), ("vcpu", "1")):
        ET.SubElement(domain, tag).text = text
    ET.SubElement(ET.SubElement(domain, "os"), "type").text = "hvm"
    devices = ET.SubElement(domain, "devices")
    for disk in disks:
        element = ET.SubElement(devices, "disk", type="file", device="disk")
        ET.SubElement(element, "driver", name="qemu", type="qcow2")
        ET.SubElement(element, "source", file=str(disk.absolute()))
        ET.SubElement(element, "target", bus="scsi")
    content: bytes = ET.tostring(domain)
    return content


def _reason(said: str) -> Iterator[str]:
    """The last lines of what it said, without its advice to whom to tell them."""
    lines = said.partition("\nIf reporting bugs")[0].strip().splitlines()
    yield from (line.removeprefix(f"{_PROGRAM}: error: ") for line in lines[-_LINES_TOLD:])


def _hint(why: str) -> str:
    if "nbdkit" in why:
        return "Install nbdkit."
    if "supermin" in why or "appliance" in why:
        return "libguestfs needs a kernel in /boot that you may read: see libguestfs-test-tool."
    return "Imported without --virt-v2v, the disk comes as it is."
