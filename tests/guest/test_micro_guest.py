"""What the micro guest does once it runs, under real QEMU."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest.boot import BOOT_TIMEOUT_S, PROMPT, Guest
from vmtui.images import micro
from vmtui.images.micro import MicroImage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def image() -> MicroImage:
    return micro.build(print)


def test_login_network_and_power_button(image: MicroImage, tmp_path: Path) -> None:
    network = ("-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0")
    with Guest(image, tmp_path, *network) as guest:
        before = guest.read_until(r"micro login: ")
        assert "User root, password micro." in before
        assert not any(word in before for word in ("panic", "error", "not found", "[  "))
        guest.send("root")
        guest.read_until("Password: ")
        guest.send("micro")
        assert guest.read_until(PROMPT).endswith("\nmicro:~# ")
        assert guest.run("uname -r; id -un; hostname") == f"{image.kernel_version}\nroot\nmicro"
        guest.wait_for("ip -4 address show eth0", r"inet 10\.0\.2\.15/24")
        assert "default via 10.0.2.2" in guest.wait_for("ip route", "default")
        assert "nameserver 10.0.2.3" in guest.wait_for("cat /etc/resolv.conf", "nameserver")
        assert "127.0.0.1" in guest.run("ip address show lo")
        guest.monitor("system_powerdown")
        assert guest.wait() == 0


def test_wrong_password_is_refused(image: MicroImage, tmp_path: Path) -> None:
    with Guest(image, tmp_path) as guest:
        guest.read_until("login: ")
        guest.send("root")
        guest.read_until("Password: ")
        guest.send("wrong")
        guest.read_until("Login incorrect")
        guest.login()


def test_every_virtio_device_has_its_driver_also_after_a_reboot(
    image: MicroImage, tmp_path: Path
) -> None:
    disk = tmp_path / "disk.img"
    disk.touch()
    with disk.open("r+b") as file:
        file.truncate(16 * 1024**2)
    console = tmp_path / "hvc"
    devices = (
        *("-drive", f"if=none,id=d0,format=raw,file={disk}", "-device", "virtio-blk-pci,drive=d0"),
        *("-device", "virtio-balloon-pci", "-device", "virtio-rng-pci"),
        *("-chardev", f"file,id=c0,path={console}"),
        *("-device", "virtio-serial-pci", "-device", "virtconsole,chardev=c0", "-vga", "std"),
    )
    with Guest(image, tmp_path, *devices, cmdline="vmtui.hostname=web01", machine="pc") as guest:
        guest.login()
        assert guest.run("hostname; cat /etc/hostname") == "web01\nweb01"
        assert guest.run("cat /sys/class/block/vda/size") == str(16 * 2048)
        drivers = guest.run("ls -d /sys/bus/virtio/drivers/*/virtio*")
        for driver in ("virtio_blk", "virtio_balloon", "virtio_rng", "virtio_console"):
            assert f"/{driver}/virtio" in drivers
        assert guest.run("cat /sys/class/misc/hw_random/rng_current").startswith("virtio_rng")
        guest.wait_for("ps", r"getty .*hvc0")
        guest.wait_for("ps", r"getty .*tty1")
        guest.run("mke2fs -q /dev/vda; mount -t ext2 /dev/vda /mnt; echo kept >/mnt/file; reboot")
        guest.login()
        assert guest.run("mount -t ext2 /dev/vda /mnt; cat /mnt/file") == "kept"
        guest.send("poweroff")
        assert guest.wait() == 0
    assert b"web01 login: " in console.read_bytes()


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[Path]:
    """The socket of a running software TPM."""
    if shutil.which("swtpm") is None:
        pytest.skip("swtpm is not installed")
    path = tmp_path / "swtpm"
    state = tmp_path / "tpm"
    state.mkdir()
    argv = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}"]
    process = subprocess.Popen([*argv, "--ctrl", f"type=unixio,path={path}", "--terminate"])
    while not path.exists():
        time.sleep(0.01)
    yield path
    process.terminate()
    process.wait()


def test_tpm(image: MicroImage, tmp_path: Path, tpm: Path) -> None:
    device = (
        *("-chardev", f"socket,id=tpm0,path={tpm}", "-tpmdev", "emulator,id=tpm0,chardev=tpm0"),
        *("-device", "tpm-crb,tpmdev=tpm0"),
    )
    with Guest(image, tmp_path, *device) as guest:
        guest.login()
        assert (
            guest.run("cat /sys/class/tpm/tpm0/tpm_version_major; ls /dev/tpm0") == "2\n/dev/tpm0"
        )


def test_prompt_comes_soon(image: MicroImage, tmp_path: Path) -> None:
    """A gross slowdown, such as waiting for the network, shows here; the benchmarks tell more."""
    network = ("-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0")
    started = time.monotonic()
    with Guest(image, tmp_path, *network) as guest:
        guest.read_until("login: ", BOOT_TIMEOUT_S)
    assert time.monotonic() - started < 15
