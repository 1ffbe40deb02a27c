import asyncio
import gzip
import hashlib
import lzma
import subprocess
import zlib
from collections.abc import Generator
from pathlib import Path

import pytest

from vmtui.errors import InputError, OperationError
from vmtui.images.pieces import in_thread
from vmtui.images.unpack import unpack, unpacking
from vmtui.progress import Progress, no_progress
from vmtui.units import MIB

CONTENT = b"\xa5" * 100_000 + bytes(8 * MIB) + hashlib.sha256(b"end").digest()


def packed(folder: Path, kind: str, content: bytes = CONTENT) -> Path:
    path = folder / f"disk.{kind}"
    if kind == "gz":
        path.write_bytes(gzip.compress(content))
    elif kind == "xz":
        path.write_bytes(lzma.compress(content))
    else:
        argv = ["zstd", "-q", "-o", str(path)]
        subprocess.run(argv, input=content, check=True)
    return path


@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
async def test_it_comes_out_as_it_went_in_with_its_holes(tmp_path: Path, kind: str) -> None:
    told: list[Progress] = []
    target = tmp_path / "disk"
    await unpack(packed(tmp_path, kind), target, limit_bytes=16 * MIB, progress=told.append)
    assert target.read_bytes() == CONTENT
    assert target.stat().st_blocks * 512 < MIB
    assert told[0].text.startswith(f"unpacking disk.{kind} ")


@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
async def test_streams_behind_each_other_are_one(tmp_path: Path, kind: str) -> None:
    path = packed(tmp_path, kind, b"first ")
    one = path.read_bytes()
    path.write_bytes(one + (bytes(4) if kind == "xz" else b"") + one)
    target = tmp_path / "disk"
    await unpack(path, target, limit_bytes=MIB, progress=no_progress)
    assert target.read_bytes() == b"first first "


@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
async def test_damage_is_told_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    path = packed(tmp_path, kind, hashlib.shake_256(b"").digest(100_000))
    content = path.read_bytes()
    for damaged in (content[:-1000], content[:50_000] + b"damaged!" + content[50_008:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="is damaged"):
            await unpack(path, tmp_path / "disk", limit_bytes=MIB, progress=no_progress)
        assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
async def test_what_grows_too_large_is_refused(tmp_path: Path, kind: str) -> None:
    path = packed(tmp_path, kind)
    with pytest.raises(InputError, match="more than 4 MiB"):
        await unpack(path, tmp_path / "disk", limit_bytes=4 * MIB, progress=no_progress)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


async def test_a_window_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.xz"
    content = bytearray(lzma.compress(b"x"))
    # The block's header ends in a CRC of itself; its 5th byte then says 4 GiB (xz format, 5.3.1).
    content[16] = 40
    content[20:24] = zlib.crc32(content[12:20]).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged: Memory"):
        await unpack(path, tmp_path / "disk", limit_bytes=MIB, progress=no_progress)


async def test_what_is_not_packed_or_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "disk.gz"
    path.write_bytes(b"not packed")
    with pytest.raises(InputError, match="not packed"):
        await unpack(path, tmp_path / "disk", limit_bytes=MIB, progress=no_progress)
    there = tmp_path / "there"
    there.write_bytes(b"mine")
    with pytest.raises(OperationError):
        await unpack(packed(tmp_path, "xz"), there, limit_bytes=MIB, progress=no_progress)
    assert there.read_bytes() == b"mine"


async def test_it_stops_between_two_pieces() -> None:
    began, files_closed = asyncio.Event(), []

    def endless() -> Generator[Progress, None, None]:
        try:
            while True:
                yield Progress("on and on")
        finally:
            files_closed.append("all")

    work = asyncio.create_task(in_thread(endless(), lambda _: began.set()))
    await began.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert files_closed == ["all"]


def test_stopped_in_its_midst_it_leaves_nothing(tmp_path: Path) -> None:
    path = packed(tmp_path, "gz")
    steps = unpacking(path, tmp_path / "disk", 16 * MIB)
    next(steps)
    assert (tmp_path / "disk").exists()
    steps.close()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
