"""The micro image: its archive, its drivers, its cache; with a pretended kernel."""

from __future__ import annotations

import asyncio
import gzip
import lzma
import os
import shutil
import stat
import subprocess
from functools import partial
from pathlib import Path

import pytest

from vmtui.errors import MissingError, UnsupportedError, VmtuiError
from vmtui.images import distro, initramfs, micro
from vmtui.images.initramfs import DRIVERS, Entry

RELEASE = "6.1.0-9-cloud-amd64"

FAKE_APT_CACHE = f"""#!/bin/sh
[ "$3" = linux-image-cloud-amd64 ] && echo "  Depends: linux-image-{RELEASE}"
exit 0
"""
FAKE_APT_GET = """#!/bin/sh
echo "$*" >>"$PRETENDED/downloads"
[ -e "$PRETENDED/offline" ] && { echo "W: a warning"; echo "E: no network"; exit 100; } >&2
touch kernel.deb
"""
FAKE_DPKG_DEB = """#!/bin/sh
cp -r "$PRETENDED/root/." .
"""


def module(*needs: str) -> bytes:
    return b"\x7fELF\0license=GPL\0depends=" + ",".join(needs).encode() + b"\0name=x\0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a kernel whose modules come in every way of packing that they are found in."""
    root = tmp_path / "pretended" / "root"
    modules = root / "lib/modules" / RELEASE
    (modules / "kernel/drivers").mkdir(parents=True)
    (root / "boot").mkdir()
    (root / "boot" / f"vmlinuz-{RELEASE}").write_bytes(b"kernel")
    builtin = ("kernel/net/packet/af_packet.ko", "kernel/drivers/char/hw_random/rng-core.ko")
    (modules / "modules.builtin").write_text("\n".join(builtin))
    names = {
        "button": (),
        "evdev": (),
        "virtio": ("virtio_ring",),
        "virtio_ring": (),
        "virtio_console": ("virtio_ring", "virtio"),
        "virtio_blk": ("virtio", "virtio_ring"),
        "virtio_net": ("virtio", "net_failover"),
        "net_failover": (),
        "virtio_balloon": ("virtio",),
        "virtio-rng": ("rng-core", "virtio"),
        "virtio_pci": ("virtio",),
    }
    for name, needs in names.items():
        content = module(*needs)
        path = modules / "kernel/drivers" / f"{name}.ko"
        if name == "virtio":
            path.with_suffix(".ko.xz").write_bytes(lzma.compress(content))
        elif name == "button":
            path.with_suffix(".ko.gz").write_bytes(gzip.compress(content))
        else:
            path.write_bytes(content)
    return root


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/vmtui/micro"


@pytest.fixture
def apt(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package manager that serves the kernel of `root`; the folder where it keeps its count."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (
        ("apt-cache", FAKE_APT_CACHE),
        ("apt-get", FAKE_APT_GET),
        ("dpkg-deb", FAKE_DPKG_DEB),
    ):
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PRETENDED", str(root.parent))
    # What this machine itself has in /boot is no part of that.
    monkeypatch.setattr(distro, "installed", partial(distro.installed, tmp_path / "nothing"))
    return root.parent


def downloads(apt: Path) -> int:
    return len((apt / "downloads").read_text().splitlines())


def fake_build(cache: Path, name: str, mtime: int) -> Path:
    folder = cache / name
    folder.mkdir(parents=True)
    (folder / "vmlinuz").write_bytes(b"k")
    (folder / "initrd.gz").write_bytes(b"i")
    os.utime(folder, (mtime, mtime))
    return folder


def test_archive_unpacks_as_it_was_described(tmp_path: Path) -> None:
    entries = [
        Entry("folder", stat.S_IFDIR | 0o700),
        Entry("folder/program", stat.S_IFREG | 0o755, b"12345"),
        Entry("folder/link", stat.S_IFLNK | 0o777, b"program"),
        Entry("empty", stat.S_IFREG | 0o644),
    ]
    subprocess.run(
        ["busybox", "cpio", "-id"], cwd=tmp_path, input=initramfs.cpio(entries), check=True
    )
    assert (tmp_path / "folder/link").read_bytes() == b"12345"
    assert (tmp_path / "folder/link").readlink() == Path("program")
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700
    assert os.access(tmp_path / "folder/program", os.X_OK)
    assert (tmp_path / "empty").stat().st_size == 0


def test_archive_in_the_wrong_order_is_refused() -> None:
    with pytest.raises(ValueError, match="before its folder"):
        initramfs.cpio([Entry("etc/file", stat.S_IFREG), Entry("etc", stat.S_IFDIR)])


def test_drivers_come_with_what_they_need(root: Path) -> None:
    found = initramfs.find_modules(root / "lib/modules" / RELEASE, DRIVERS)
    assert "af_packet" not in found
    assert "rng_core" not in found
    assert found["virtio"].content == module("virtio_ring")
    # modprobe loads the last one first.
    assert found["virtio_rng"].needs == ("virtio", "virtio_ring")
    assert set(found["virtio_net"].needs) == {"virtio", "virtio_ring", "net_failover"}
    assert found["evdev"].needs == ()


def test_zstd_modules(root: Path) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")
    drivers = root / "lib/modules" / RELEASE / "kernel/drivers"
    subprocess.run(["zstd", "-q", "--rm", drivers / "evdev.ko"], check=True)
    found = initramfs.find_modules(root / "lib/modules" / RELEASE, DRIVERS)
    assert found["evdev"].content == module()


def test_kernel_without_a_driver_is_refused(root: Path) -> None:
    (root / "lib/modules" / RELEASE / "kernel/drivers/virtio_blk.ko").unlink()
    with pytest.raises(VmtuiError, match="no driver virtio_blk"):
        initramfs.find_modules(root / "lib/modules" / RELEASE, DRIVERS)


def test_static_programs_are_told_from_others() -> None:
    busybox = distro.find_busybox()
    assert busybox is not None
    assert distro.is_static(busybox.read_bytes())
    assert not distro.is_static(Path("/bin/sh").resolve().read_bytes())
    assert not distro.is_static(b"#!/bin/sh\n")


def test_installed_kernel(root: Path) -> None:
    found = distro.installed(root)
    assert found is not None
    assert (found.release, found.image.name) == (RELEASE, f"vmlinuz-{RELEASE}")
    (root / "boot" / f"vmlinuz-{RELEASE}").rename(root / "lib/modules" / RELEASE / "vmlinuz")
    found = distro.installed(root)
    assert found is not None
    assert found.image.name == "vmlinuz"
    found.image.unlink()
    assert distro.installed(root) is None


def test_cached_is_the_newest_whole_build(cache: Path) -> None:
    assert micro.cached() is None
    fake_build(cache, f"6.1.0-old-b{micro.BUILDER}", 100)
    newer = fake_build(cache, f"6.1.0-new-b{micro.BUILDER}", 200)
    fake_build(cache, ".partial-x", 300)
    fake_build(cache, "6.1.0-other-b0", 300)
    image = micro.cached()
    assert image is not None
    assert image.kernel_version == "6.1.0-new"
    assert image.initrd == newer / "initrd.gz"
    (newer / "initrd.gz").write_bytes(b"")
    image = micro.cached()
    assert image is not None
    assert image.kernel_version == "6.1.0-old"


async def test_built_once_however_many_ask(apt: Path, cache: Path) -> None:
    (cache / ".partial-killed").mkdir(parents=True)
    lines: list[str] = []
    images = await asyncio.gather(*(micro.ensure(lines.append) for _ in range(3)))
    assert downloads(apt) == 1
    assert len(set(images)) == 1
    assert images[0].kernel_version == RELEASE
    assert images[0].kernel.read_bytes() == b"kernel"
    assert any("downloading" in line for line in lines)
    assert {path.name for path in cache.iterdir()} == {f"{RELEASE}-b{micro.BUILDER}", ".lock"}
    assert await micro.ensure() == images[0]


def test_what_stops_the_build_is_told(apt: Path, cache: Path) -> None:
    (apt / "offline").touch()
    with pytest.raises(VmtuiError) as failure:
        micro.build(print)
    assert "apt-get download failed" in failure.value.what
    assert failure.value.why == "E: no network"
    assert failure.value.hint
    assert micro.cached() is None


async def test_what_stops_the_builder_is_told(apt: Path, cache: Path) -> None:
    """It is another process, where a kernel of this machine would do in place of apt's."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.touch()
    with pytest.raises(VmtuiError) as failure:
        await micro.ensure()
    assert failure.value.what == micro.FAILED
    assert failure.value.why.endswith(f"File exists: '{cache}'")
    assert "\n" not in failure.value.why


async def test_cancelled_build_leaves_no_process(
    apt: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    (tmp_path / "bin/apt-get").write_text(f"#!/bin/sh\necho $$ >{pid}\nexec sleep 60\n")
    task = asyncio.create_task(micro.ensure())
    while not (pid.exists() and pid.read_text()):
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    running = Path("/proc", pid.read_text().strip(), "cmdline")
    while running.exists() and running.read_bytes():
        await asyncio.sleep(0.02)


def test_refresh_follows_the_package(apt: Path, cache: Path) -> None:
    fake_build(cache, f"6.1.0-old-b{micro.BUILDER}", 100)
    assert micro.build(print).kernel_version == "6.1.0-old"
    (apt / "offline").touch()
    assert micro.build(print, refresh=True).kernel_version == "6.1.0-old"
    (apt / "offline").unlink()
    assert micro.build(print, refresh=True).kernel_version == RELEASE
    before = downloads(apt)
    assert micro.build(print, refresh=True).kernel_version == RELEASE
    assert downloads(apt) == before


def test_other_machines_are_told(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(UnsupportedError, match="x86-64"):
        micro.build(print)


def test_busybox_is_fetched_where_there_is_no_static_one(
    apt: Path, root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    static = distro.find_busybox()
    assert static is not None
    (root / "bin").mkdir()
    shutil.copy(static, root / "bin/busybox")
    monkeypatch.setattr(distro, "find_busybox", lambda: None)
    micro.build(print)
    assert "download busybox-static" in (apt / "downloads").read_text()


def test_without_busybox_and_apt(cache: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    found = distro.installed(root)
    monkeypatch.setattr(distro, "_has_apt", lambda: False)
    monkeypatch.setattr(distro, "installed", lambda: found)
    monkeypatch.setattr(distro, "find_busybox", lambda: None)
    with pytest.raises(MissingError, match="busybox") as failure:
        micro.build(print)
    assert "busybox-static" in failure.value.hint
    monkeypatch.setattr(distro, "installed", lambda: None)
    with pytest.raises(MissingError, match="no kernel"):
        micro.build(print)
