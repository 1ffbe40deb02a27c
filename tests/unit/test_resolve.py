import os
import subprocess
from pathlib import Path

import pytest

from vmtui.errors import InputError
from vmtui.images.resolve import resolve
from vmtui.spec import BLANK, MICRO, BootKind
from vmtui.units import MIB


def qemu_img(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def qcow2(tmp_path: Path) -> Path:
    path = tmp_path / "good.qcow2"
    qemu_img("create", "-f", "qcow2", path, "8M")
    return path


def raw(path: Path) -> Path:
    path.write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 512)
    return path


def iso(path: Path) -> Path:
    path.write_bytes(b"\0" * 0x8001 + b"CD001" + b"\0" * 4096)
    return path


async def test_the_words(tmp_path: Path) -> None:
    assert await resolve("micro") == MICRO
    assert await resolve("none") == BLANK


async def test_a_qcow2_image(qcow2: Path) -> None:
    boot = await resolve(str(qcow2))
    assert (boot.kind, boot.format, boot.virtual_size_bytes) == (BootKind.DISK, "qcow2", 8 * MIB)


async def test_a_raw_image_and_an_iso(tmp_path: Path) -> None:
    boot = await resolve(str(raw(tmp_path / "disk.img")))
    assert (boot.kind, boot.format, boot.virtual_size_bytes) == (BootKind.DISK, "raw", 1024)
    assert (await resolve(str(iso(tmp_path / "cd.iso")))).kind is BootKind.ISO


async def test_qcow2_under_img_is_what_cloud_images_are(qcow2: Path) -> None:
    renamed = qcow2.rename(qcow2.with_suffix(".img"))
    assert (await resolve(str(renamed))).format == "qcow2"


async def refused(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        await resolve(str(path))
    assert "\x1b" not in str(caught.value)
    return str(caught.value)


async def test_missing(tmp_path: Path) -> None:
    assert "there is no image" in await refused(tmp_path / "nothing.iso")
    assert "there is no image" in await refused("Micro")


async def test_a_name_with_escapes(tmp_path: Path) -> None:
    assert "there is no image" in await refused(tmp_path / "\x1b[31mred")


async def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in await refused(tmp_path)


async def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is not a file" in await refused(tmp_path / "pipe")


async def test_unreadable(qcow2: Path) -> None:
    qcow2.chmod(0)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)  # root may read everything
    try:
        assert "Permission denied" in await refused(qcow2)
    finally:
        if was_root:
            os.seteuid(0)


async def test_empty_text_and_error_pages(tmp_path: Path) -> None:
    (tmp_path / "empty.qcow2").touch()
    assert "is empty" in await refused(tmp_path / "empty.qcow2")
    (tmp_path / "page.qcow2").write_text("<html>404</html>")
    assert "is not a qcow2 image" in await refused(tmp_path / "page.qcow2")
    (tmp_path / "notes.txt").write_text("hello")
    assert "is not a disk image" in await refused(tmp_path / "notes.txt")


async def test_compressed(tmp_path: Path) -> None:
    (tmp_path / "i.qcow2").write_bytes(b"\xfd7zXZ\0rest")
    assert "compressed with xz" in await refused(tmp_path / "i.qcow2")


async def test_raw_that_says_it_is_qcow2(tmp_path: Path) -> None:
    raw(tmp_path / "disk.qcow2")
    assert "named .qcow2 but its content is raw" in await refused(tmp_path / "disk.qcow2")


async def test_qcow2_that_says_it_is_raw(qcow2: Path) -> None:
    renamed = qcow2.rename(qcow2.with_suffix(".raw"))
    assert "named .raw but its content is qcow2" in await refused(renamed)


async def test_a_planted_backing_file_is_refused_by_name(tmp_path: Path) -> None:
    qemu_img(
        "create", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", tmp_path / "x.img", "8M"
    )
    told = await refused(tmp_path / "x.img")
    assert "leans on another file" in told
    assert "/etc/shadow" in told


async def test_a_planted_data_file_is_refused_by_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    options = f"data_file={data},data_file_raw=on"
    qemu_img("create", "-f", "qcow2", "-o", options, tmp_path / "x.img", "8M")
    assert "leans on another file" in await refused(tmp_path / "x.img")


async def test_a_broken_header(qcow2: Path) -> None:
    content = bytearray(qcow2.read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"
    qcow2.write_bytes(content)
    assert "not a usable qcow2 image" in await refused(qcow2)
