"""The kernel inside a packed one, however it is packed; none where QEMU can't start it."""

from __future__ import annotations

import gzip
import lzma
import struct
import subprocess

import pytest

from vmtui.images.unpacked import unpacked

NOTE = struct.pack("<III4sQ", 4, 8, 18, b"Xen", 0x1000000)
ELF = b"\x7fELF" + bytes(100_000) + NOTE + b"code" * 1000


def packed(kind: str, content: bytes) -> bytes:
    """As the build of Linux packs it: with its size behind it, less for gzip."""
    size = struct.pack("<I", len(content))
    match kind:
        case "gzip":
            return gzip.compress(content)
        case "xz":
            return lzma.compress(content, check=lzma.CHECK_CRC32) + size
        case "zstd":
            argv = ["zstd", "-22", "--ultra", "-c"]
        case _:
            argv = ["lz4", "-l", "-9", "-c"]
    return subprocess.run(argv, input=content, capture_output=True, check=True).stdout + size


def bz_image(payload: bytes, *, version: int = 0x20F, setup_sectors: int = 27) -> bytes:
    code = b"unpacks it"
    head = bytearray(((setup_sectors or 4) + 1) * 512)
    head[0x1F1] = setup_sectors
    struct.pack_into("<4sH", head, 0x202, b"HdrS", version)
    struct.pack_into("<II", head, 0x248, len(code), len(payload))
    return bytes(head) + code + payload + b"the rest"


@pytest.mark.parametrize("kind", ["gzip", "xz", "zstd", "lz4"])
def test_it_is_had_from_every_packing(kind: str) -> None:
    assert unpacked(bz_image(packed(kind, ELF))) == ELF
    assert unpacked(bz_image(packed(kind, ELF), setup_sectors=0)) == ELF


@pytest.mark.parametrize(
    "kernel",
    [
        b"",
        b"MZ" + bytes(5000),
        bz_image(b""),
        bz_image(b"BZh9" + bytes(100)),
        bz_image(gzip.compress(ELF), version=0x207),
        bz_image(gzip.compress(ELF.replace(b"Xen", b"GNU"))),
        bz_image(gzip.compress(b"no ELF" + NOTE)),
        bz_image(gzip.compress(ELF)[:-20]),
        bz_image(packed("xz", ELF)[:100]),
        bz_image(packed("xz", ELF)[:50] + bytes(100)),
        bz_image(packed("zstd", ELF)[:50]),
        bz_image(packed("lz4", ELF)[:100] + b"\xff" * 100),
    ],
)
def test_what_can_not_be_started_is_left_packed(kernel: bytes) -> None:
    assert unpacked(kernel) is None


def test_without_lz4_it_stays_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = bz_image(packed("lz4", ELF))
    monkeypatch.setenv("PATH", "/nonexistent")
    assert unpacked(kernel) is None
