"""The real virt-v2v, where it refuses, is stopped or not there; tests/guest has a conversion."""

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from vmtui.errors import MissingError, OperationError
from vmtui.images.imports.importing import import_file
from vmtui.images.library import Library
from vmtui.images.virt_v2v import VirtV2v
from vmtui.model import Accel
from vmtui.progress import Progress


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.vmdk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", str(path), "16M"], check=True)
    return path


def left(library: Library) -> list[str]:
    return sorted(p.name for p in library.root.iterdir() if not p.name.endswith(".lock"))


async def test_what_it_said_is_told_and_nothing_is_left(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path / "images")
    monkeypatch.setenv("LIBGUESTFS_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(OperationError) as caught:
        await import_file(disk, "web", library, virt_v2v=VirtV2v.found(Accel.TCG))
    assert caught.value.what == "virt-v2v could not convert the guest"
    assert "cannot find any suitable libguestfs" in caught.value.why
    assert "If reporting bugs" not in caught.value.why
    assert "a kernel in /boot" in caught.value.hint
    assert left(library) == []


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Not tmp_path: virt-v2v makes sockets in it, whose paths may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="v2v-") as folder:
        yield Path(folder)


async def test_cancelled_it_leaves_nothing_and_nobody(
    disk: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path / "images")
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("LIBGUESTFS_CACHEDIR", str(tmp_path))
    opening = asyncio.Event()

    def progress(told: Progress) -> None:
        if told.text == "virt-v2v: Opening the source":
            opening.set()

    virt_v2v = VirtV2v.found(Accel.TCG)
    before = psutil.Process().children(recursive=True)  # such as a daemon of other tests
    work = asyncio.create_task(import_file(disk, "web", library, progress, virt_v2v=virt_v2v))
    opens = asyncio.create_task(opening.wait())
    await asyncio.wait({work, opens}, return_when=asyncio.FIRST_COMPLETED)
    assert opens.done(), work
    converting = [p for p in psutil.Process().children(recursive=True) if p not in before]
    assert "qemu-nbd" in [process.name() for process in converting]
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    _, alive = await asyncio.to_thread(psutil.wait_procs, converting, timeout=30)
    assert not alive
    assert left(library) == []
    assert list(scratch.iterdir()) == []


def test_where_it_is_not_installed_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("vmtui.images.virt_v2v._PATH", ())
    with pytest.raises(MissingError) as caught:
        VirtV2v.found(Accel.TCG)
    assert "Install virt-v2v and nbdkit" in caught.value.hint
