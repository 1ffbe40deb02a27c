"""Imports and exports that are killed, run out of space, or meet another: nothing half-made."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from vmtui.errors import InputError, OperationError
from vmtui.images.export import export_disk, export_ova
from vmtui.images.imports.foreign import Foreign, ForeignDisk
from vmtui.images.imports.importing import Imported, import_file
from vmtui.images.library import Library
from vmtui.images.qemu_img import Source
from vmtui.units import MIB

IMPORT = """
import asyncio, sys, psutil
from pathlib import Path
from vmtui.images.imports.importing import import_file
from vmtui.images.library import Library

def progress(told):
    for child in psutil.Process().children() if told.text.startswith("converting") else ():
        child.suspend()
        print(child.pid, flush=True)

asyncio.run(import_file(Path(sys.argv[1]), "web", Library(Path(sys.argv[2])), progress))
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk that takes long to read, and does not get small."""
    folder = tmp_path_factory.mktemp("disk")
    raw, path = folder / "disk.raw", folder / "disk.vmdk"
    raw.write_bytes(b"\xa5" * 96 * MIB + os.urandom(8 * MIB))
    argv = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*argv, str(raw), str(path)], check=True)
    return path


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


async def test_a_killed_import_leaves_nothing_and_nobody(disk: Path, tmp_path: Path) -> None:
    library = Library(tmp_path / "images")
    importing = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", IMPORT, str(disk), str(library.root)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert importing.stdout is not None
    converting = psutil.Process(int(await importing.stdout.readline()))
    assert len(left(library.root)) == 1, "what it makes is hidden"
    assert library.images() == []
    importing.send_signal(signal.SIGKILL)
    await importing.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, [converting], timeout=30)
    assert not alive
    async with library.scratch():  # as any change, it first removes what was left
        assert len(left(library.root)) == 1
    assert left(library.root) == []


async def test_of_two_imports_of_one_name_one_is_made(disk: Path, tmp_path: Path) -> None:
    library = Library(tmp_path / "images")
    both = (import_file(disk, "web", library) for _ in range(2))
    results = await asyncio.gather(*both, return_exceptions=True)
    assert {type(result) for result in results} == {Imported, InputError}
    assert left(library.root) == ["web"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 4 MiB."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system takes root")
    target = tmp_path / "small"
    target.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", target], check=True)
    yield target
    subprocess.run(["umount", target], check=True)


async def test_a_full_disk_is_told_and_nothing_is_left(disk: Path, small: Path) -> None:
    source = Source(disk, "vmdk")
    library = Library(small / "images")
    vm = Foreign("vmtui", "web", disks=(ForeignDisk("disk"),))
    for work in (
        import_file(disk, "web", library),
        export_disk(source, small / "web.qcow2"),
        export_ova(vm, [source], small / "web.ova"),
    ):
        with pytest.raises(OperationError) as caught:
            await work
        assert "No space left" in caught.value.why
        assert "Free some space" in caught.value.hint
    assert left(small) == ["images"]
    assert left(library.root) == []
