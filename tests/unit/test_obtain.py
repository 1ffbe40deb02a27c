import asyncio
import gzip
import hashlib
import lzma
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loopback import Loopback, Served, serving
from vmtui.errors import ConfigError, InputError, VmtuiError
from vmtui.images.catalogue import host_arch
from vmtui.images.download import Downloads
from vmtui.images.http import Patience
from vmtui.images.image import Image, ImageKind
from vmtui.images.library import Library
from vmtui.images.obtain import obtain, ready
from vmtui.images.resolve import resolve
from vmtui.progress import Progress, no_progress
from vmtui.spec import Boot, BootKind
from vmtui.units import GIB, MIB

DISK = b"\0" * 510 + b"\x55\xaa" + os.urandom(512 * 100)


def qcow2(path: Path, *options: str) -> bytes:
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), "8M"]
    subprocess.run(argv, check=True)
    return path.read_bytes()


@dataclass
class Rig:
    """A library, a publisher, and what the user's own catalogue says."""

    server: Loopback
    library: Library
    downloads: Downloads
    config: Path

    def publish(self, name: str, content: bytes, sums: bytes | None = None, more: str = "") -> None:
        """Serve `content` as the catalogue's image `mine`, with a list of sums beside it."""
        self.server.serve(f"/{name}", content)
        right = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
        self.server.serve("/SUMS", right if sums is None else sums)
        self.config.write_text(
            f'[mine]\ntitle = "Mine"\nuser = "me"\ndisk = "1G"\nchecksums = "SUMS"\n'
            f'url.{host_arch()} = "{self.server.url(f"/{name}")}"\n{more}\n'
        )

    async def obtain(self, name: str = "mine") -> Image:
        return await obtain(name, library=self.library, downloads=self.downloads)

    async def refused(self) -> str:
        with pytest.raises(VmtuiError) as caught:
            await self.obtain()
        assert self.library.images() == []
        assert not list(self.library.root.glob(".new*"))
        return str(caught.value)

    def parts(self) -> list[Path]:
        return list(self.downloads.root.glob("*.part"))


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "vmtui").mkdir()
    async with serving() as server:
        yield Rig(
            server,
            Library(tmp_path / "images"),
            Downloads(tmp_path / "cache", Patience(failures=2, pause_s=0.01)),
            tmp_path / "vmtui" / "images.toml",
        )


async def test_from_the_catalogue_into_the_library(rig: Rig) -> None:
    rig.publish("i.img", DISK, more="serial_console = true")
    image = await rig.obtain()
    assert image.path.read_bytes() == DISK
    assert image.path.stat().st_mode & 0o777 == 0o444
    assert image.sha256 == hashlib.sha256(DISK).hexdigest()
    assert (image.kind, image.title, image.user) == (ImageKind.CLOUD, "Mine", "me")
    assert (image.disk_minimum_bytes, image.serial_console) == (GIB, True)
    assert image.source == rig.server.url("/i.img")
    assert (
        image.checked == "SHA-256 of the publisher, signature not checked: the catalogue names none"
    )
    assert rig.parts() == []
    asked = len(rig.server.asked)
    assert await rig.obtain() == image
    assert len(rig.server.asked) == asked


async def test_a_qcow2_image_is_known_by_its_content(rig: Rig, tmp_path: Path) -> None:
    rig.publish("i.img", qcow2(tmp_path / "x.img"))
    image = await rig.obtain()
    assert (image.format, image.virtual_size_bytes) == ("qcow2", 8 * MIB)
    assert image.path.name == "disk.qcow2"


@pytest.mark.parametrize("ending", ["xz", "gz"])
async def test_packed_ones_are_unpacked(rig: Rig, ending: str) -> None:
    packed = lzma.compress(DISK) if ending == "xz" else gzip.compress(DISK)
    rig.publish(f"i.raw.{ending}", packed)
    image = await rig.obtain()
    assert image.path.read_bytes() == DISK
    assert image.format == "raw"


async def test_wrong_bytes_are_deleted_and_both_sums_told(rig: Rig) -> None:
    wanted = "a" * 64
    rig.publish("i.img", DISK, sums=f"{wanted}  i.img".encode())
    told = await rig.refused()
    assert f"is {hashlib.sha256(DISK).hexdigest()}, and should be {wanted}" in told
    assert rig.parts() == []


async def test_an_image_that_was_replaced_after_its_download_is_downloaded_anew(rig: Rig) -> None:
    rig.publish("i.img", DISK)
    async with rig.downloads.of(rig.server.url("/i.img")) as download:
        await download.fetch()
    new = DISK[:512] + os.urandom(512 * 90)
    rig.publish("i.img", new)
    assert (await rig.obtain()).path.read_bytes() == new
    assert rig.server.ranges("/i.img") == ["", ""]


async def test_a_sum_in_the_catalogue_needs_no_list(rig: Rig) -> None:
    rig.publish(
        "i.img",
        DISK,
        more=f'algorithm = "sha512"\nsum.{host_arch()} = "{hashlib.sha512(DISK).hexdigest()}"',
    )
    assert (await rig.obtain()).checked == "SHA-512 of the catalogue"
    assert [path for path, _ in rig.server.asked] == ["/i.img"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<html>", "not a disk image"),
        (b"", "is empty"),
        (b"\0" * 0x8001 + b"CD001" + b"\0" * 4096, "is not a cloud image"),
    ],
)
async def test_what_is_no_image_does_not_get_in(rig: Rig, content: bytes, told: str) -> None:
    rig.publish("i", content)
    assert told in await rig.refused()


async def test_an_image_that_leans_on_a_file_does_not_get_in(rig: Rig, tmp_path: Path) -> None:
    rig.publish("i.img", qcow2(tmp_path / "x.img", "-u", "-b", "/etc/shadow", "-F", "raw"))
    assert "leans on another file, '/etc/shadow'" in await rig.refused()


async def test_a_list_without_the_image(rig: Rig) -> None:
    rig.publish("i.img", DISK, sums=b"<html>gone</html>")
    assert "has no SHA-256 of i.img" in await rig.refused()


async def test_cancelled_and_asked_for_again(rig: Rig) -> None:
    rig.publish("i.img", DISK)
    rig.server.files["/i.img"].breaks_after = [20_000]
    task: asyncio.Task[Image] | None = None

    def cancel(told: Progress) -> None:
        assert told.stage == "image"
        if "trying again" in told.text:
            assert task is not None
            task.cancel()

    task = asyncio.create_task(obtain("mine", cancel, library=rig.library, downloads=rig.downloads))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rig.library.images() == []
    assert [path.stat().st_size for path in rig.parts()] == [20_000]
    assert (await rig.obtain()).path.read_bytes() == DISK
    assert rig.server.ranges("/i.img") == ["", "bytes=20000-"]


KILLED_AT = """
import asyncio, sys, time
from pathlib import Path
from vmtui.images.download import Downloads
from vmtui.images.library import Library
from vmtui.images.obtain import obtain

def progress(told):
    if sys.argv[1] in told.text:
        print("here", flush=True)
        time.sleep(1000)

root = Path(sys.argv[2])
asyncio.run(obtain("mine", progress, library=Library(root / "images"),
                   downloads=Downloads(root / "cache")))
"""


@pytest.mark.parametrize("stage", ["asking for", " of ", "checking", "unpacking", "bringing"])
async def test_killed_at_every_stage_it_leaves_nothing_that_the_next_try_minds(
    rig: Rig, tmp_path: Path, stage: str
) -> None:
    if stage == "unpacking":
        rig.publish("i.raw.gz", gzip.compress(DISK))
    else:
        rig.publish("i.img", DISK)
    argv = (sys.executable, "-c", KILLED_AT, stage, str(tmp_path))
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"here\n"
    process.kill()
    await process.wait()
    assert rig.library.images() == []
    assert (await rig.obtain()).path.read_bytes() == DISK
    assert rig.parts() == []
    assert not list(rig.library.root.glob(".new*"))


async def test_two_at_once_make_one_image_by_one_download(rig: Rig) -> None:
    rig.publish("i.img", DISK)
    first, second = await asyncio.gather(rig.obtain(), rig.obtain())
    assert first == second
    assert rig.server.ranges("/i.img") == [""]


async def test_names_that_nobody_knows(rig: Rig) -> None:
    rig.publish("i.img", DISK)
    with pytest.raises(InputError, match="Did you mean mine"):
        await rig.obtain("mien")
    rig.config.write_text("[broken")
    with pytest.raises(ConfigError):
        await rig.obtain("mine")


async def test_resolving_names(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.publish("i.img", DISK)
    boot = await resolve("mine", rig.library)
    assert boot == Boot(
        *(BootKind.DISK, None, None, GIB, "mine"),
        cloud=True,
        user="me",
        disk_minimum_bytes=GIB,
    )
    assert boot.label == "mine"
    here = await ready(boot, no_progress, library=rig.library, downloads=rig.downloads)
    assert here == await resolve("mine", rig.library)
    assert here.path == rig.library.root / "mine" / "disk.raw"
    assert await ready(here, no_progress, library=rig.library) is here
    with pytest.raises(InputError, match=r"Did you mean .*debian-12"):
        await resolve("debian12", rig.library)
    # A path, and a file of that name in this folder, are files.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk").write_bytes(DISK)
    assert (await resolve("disk", rig.library)).image == ""
    with pytest.raises(InputError, match="there is no image"):
        await resolve("./mine", rig.library)


@dataclass
class Signer:
    """A key of a project, and what is signed with it."""

    home: Path

    def gpg(self, *arguments: str, content: bytes = b"") -> bytes:
        argv = ["gpg", "--batch", "--quiet", "--homedir", str(self.home), *arguments]
        return subprocess.run(argv, input=content, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    signer = Signer(home)
    signer.gpg("--passphrase", "", "--quick-generate-key", "Publisher", "ed25519", "sign")
    yield signer
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


@pytest.mark.parametrize("armour", [(), ("--armor",)])
@pytest.mark.parametrize("inside", [True, False])
async def test_signatures(
    rig: Rig, signer: Signer, tmp_path: Path, inside: bool, armour: tuple[str, ...]
) -> None:
    keyring = tmp_path / "keyring"
    keyring.write_bytes(signer.gpg(*armour, "--export"))
    sums = f"{hashlib.sha256(DISK).hexdigest()}  i.img\n".encode()
    signature = signer.gpg("--clear-sign" if inside else "--detach-sign", content=sums)
    how = "inside" if inside else "SUMS.sig"
    rig.publish(
        *("i.img", DISK, signature if inside else sums),
        f'signature = "{how}"\nkeyrings = ["/not/here", "{keyring}"]',
    )
    rig.server.serve("/SUMS.sig", signature)
    good = rig.server.files["/SUMS"].content
    # Somebody changes the list, or adds to it what is not signed.
    changed = (good + b"x") if not inside else good.replace(b"i.img", b"j.img")
    rig.server.files["/SUMS"] = Served(changed)
    assert "the signature of" in await rig.refused()
    other = f"{'a' * 64}  i.img\n".encode()
    rig.server.files["/SUMS"] = Served(other + good + other if inside else other)
    if not inside:
        assert "is not good" in await rig.refused()
        rig.server.files["/SUMS"] = Served(good)
    image = await rig.obtain()
    assert image.checked == f"SHA-256 of the publisher, signed with a key of {keyring}"


async def test_a_signature_that_can_not_be_checked_is_told(rig: Rig) -> None:
    rig.publish("i.img", DISK, more='signature = "SUMS.sig"\nkeyrings = ["/not/here"]')
    assert (await rig.obtain()).checked == (
        "SHA-256 of the publisher, signature not checked: /not/here is not on this machine"
    )
