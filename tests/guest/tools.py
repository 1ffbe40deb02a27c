"""This system's TPM tools for the micro guest, which unpacks them from its disk."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from vmtui.units import MIB

NAMES = (
    *("getcap", "pcrread", "createprimary", "create", "load", "unseal"),
    *("nvdefine", "nvwrite", "nvread"),
)
_PROGRAM = "tpm2"
"""All of them are this one, by another name."""

_TRANSPORT = "libtss2-tcti-device.so.0"
"""Found by name while the tools run, so that nothing tells that they need it."""

_LIBRARY = re.compile(r"(/\S+) \(0x")

DISK_BYTES = 64 * MIB
UNPACK = "tar -xf /dev/vda -C /"
"""What the guest does with the disk."""

SPARE_MIB = 48
"""Behind the tools: from there on a guest may keep things of its own."""


def tar() -> bytes:
    """The tools and the libraries that they need, at the places where they look for each other."""
    program = shutil.which(_PROGRAM)
    assert program is not None, "tpm2-tools is not installed: scripts/setup dev"
    libraries = set(_needed(program))
    folder = next(Path(path).parent for path in libraries if "libtss2-tctildr" in path)
    transport = str(folder / _TRANSPORT)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", dereference=True) as archive:
        for path in sorted({*libraries, *_needed(transport), transport}):
            archive.add(path)
        archive.add(program, f"usr/bin/{_PROGRAM}")
        for name in NAMES:
            link = tarfile.TarInfo(f"usr/bin/{_PROGRAM}_{name}")
            link.type, link.linkname = tarfile.SYMTYPE, _PROGRAM
            archive.addfile(link)
    assert content.tell() < SPARE_MIB * MIB
    return content.getvalue()


def _needed(program: str) -> Iterator[str]:
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
    return (found[1] for found in _LIBRARY.finditer(told.stdout))


def write(disk: str, scratch: Path) -> None:
    """Put them at the beginning of a qcow2 file of `DISK_BYTES` that nothing uses."""
    raw = scratch / "tools.raw"
    raw.write_bytes(tar().ljust(DISK_BYTES, b"\0"))
    subprocess.run(["qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", raw, disk], check=True)
