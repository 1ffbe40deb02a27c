"""`vmtui images`, as it is typed, but in this process."""

import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.loopback import Loopback, serving
from vmtui.commands import carrying, creating, imaging
from vmtui.errors import InputError, RefusedError, UsageError
from vmtui.images.catalogue import host_arch
from vmtui.parser import build_parser

DISK = b"\0" * 510 + b"\x55\xaa" + os.urandom(512 * 100)

Run = Callable[..., Awaitable[str]]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("CONFIG_HOME", "DATA_HOME", "CACHE_HOME", "RUNTIME_DIR"):
        folder = tmp_path / kind
        folder.mkdir(mode=0o700)
        monkeypatch.setenv(f"XDG_{kind}", str(folder))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Loopback]:
    """One that serves an image which the user's own catalogue calls `mine`."""
    async with serving() as loopback:
        folder = tmp_path / "CONFIG_HOME" / "vmtui"
        folder.mkdir()
        (folder / "images.toml").write_text(
            f'[mine]\ntitle = "Mine"\nuser = "me"\nurl.{host_arch()} = '
            f'"{loopback.serve("/mine.img", DISK)}"\nchecksums = "SUMS"\n'
        )
        loopback.serve("/SUMS", f"{hashlib.sha256(DISK).hexdigest()}  mine.img".encode())
        yield loopback


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    async def typed(*argv: str, status: int = 0) -> str:
        options = build_parser().parse_args(["-c", "kvm:", "images", *argv])
        assert await imaging.images(options) == status
        told = capsys.readouterr()
        return told.out if status == 0 else told.err

    return typed


async def test_from_the_catalogue_and_out_again(server: Loopback, run: Run, tmp_path: Path) -> None:
    listed = json.loads(await run("list", "--json"))
    [mine] = [offer for offer in listed if offer["name"] == "mine"]
    assert (mine["here"], mine["title"], mine["used_by"]) == (False, "Mine", [])
    assert json.loads(await run("show", "mine", "--json"))["source"] == server.url("/mine.img")
    pulled = await run("pull", "mine")
    assert pulled.startswith("mine is here (SHA-256 of the publisher, signature not checked: ")
    assert await run("pull", "mine") == "mine was here already\n"
    first = (await run("list")).splitlines()[1]
    assert first.split() == ["mine", "cloud", "50.5", "KiB", "yes", "0", "Mine"]
    shown = json.loads(await run("show", "mine", "--json"))
    assert (shown["user"], shown["sha256"]) == ("me", hashlib.sha256(DISK).hexdigest())
    assert "user: me" in await run("show", "mine")
    assert await run("verify") == "mine is what it was\n"
    target = tmp_path / "out.raw"
    assert "mine is exported to" in await run("export", "mine", str(target))
    assert target.read_bytes() == DISK
    with pytest.raises(RefusedError, match="not confirmed"):
        await run("remove", "mine")
    assert await run("remove", "--yes", "mine") == "mine is removed\n"
    assert not json.loads(await run("show", "mine", "--json"))["here"]


async def test_a_direct_vm_that_leans_on_an_image_is_asked_for_whatever_is_connected(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "web server.qcow2"
    write = ["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "8M"]
    subprocess.run(write, check=True)  # noqa: ASYNC221
    write = ["qemu-io", "-c", "write -P 7 1M 64k", str(disk)]
    subprocess.run(write, check=True, capture_output=True)  # noqa: ASYNC221
    assert "Make a VM of it: vmtui create web-server --image web-server" in await run(
        "import", str(disk)
    )
    create = ["-c", "kvm:", "create", "v", "--image", "web-server"]
    create += ["--firmware", "uefi", "--tpm"]
    assert await creating.create(build_parser().parse_args(create)) == 0
    capsys.readouterr()
    assert json.loads(await run("show", "web-server", "--json"))["used_by"] == ["v"]
    ova, whole = tmp_path / "v.ova", tmp_path / "v.qcow2"
    for target in (ova, whole):
        export = build_parser().parse_args(["-c", "kvm:", "export", "v", str(target)])
        assert await carrying.export_vm(export) == 0
        told = capsys.readouterr()
        assert told.out.startswith(f"v is exported to {target}, without its UEFI variables (")
        assert "not carried over: the state of its TPM" in told.err
    with tarfile.open(ova) as archive:
        assert archive.getnames() == ["v.ovf", "v.mf", "v-disk1.vmdk"]
    compare = ["qemu-img", "compare", "-q", str(disk), str(whole)]
    subprocess.run(compare, check=True)  # noqa: ASYNC221
    options = build_parser().parse_args(
        ["-c", "test:///default", "images", "remove", "-y", "web-server"]
    )
    assert await imaging.images(options) == 4
    assert "v can't do without it" in capsys.readouterr().err


async def test_plans_and_refusals(run: Run, tmp_path: Path) -> None:
    disk = tmp_path / "a.img"
    disk.write_bytes(DISK)
    assert "disk: a.img" in await run("import", "--plan", str(disk))
    assert not json.loads(await run("import", "--plan", "--json", str(disk)))["from_another"]
    vdi = tmp_path / "a.vdi"
    write = ["qemu-img", "create", "-q", "-f", "vdi", str(vdi), "8M"]
    subprocess.run(write, check=True)  # noqa: ASYNC221
    assert "import it with --virt-v2v" in await run("import", "--plan", str(vdi))
    with pytest.raises(InputError, match="no image 'debain-12'"):
        await run("show", "debain-12")
    with pytest.raises(InputError, match="no image"):
        await run("export", "nothing", "x.ova")
    with pytest.raises(UsageError):
        await run("frobnicate")
    with pytest.raises(RefusedError, match="images pull is refused"):
        await imaging.images(build_parser().parse_args(["--read-only", "images", "pull", "arch"]))
    assert "there is no image 'nothing'" in await run("remove", "-y", "nothing", status=1)


async def test_the_demo_has_images_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["list"], ["show", "debian-12"], ["pull", "alpine-3.22"], ["verify"]):
        assert await imaging.images(build_parser().parse_args(["--demo", "images", *argv])) == 0
    assert "virtio-win is what it was" in capsys.readouterr().out
