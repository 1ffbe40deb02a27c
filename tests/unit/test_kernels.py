"""Kernels as images: imported with their initrd, kept whole, and what a VM of one is made of."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from vmtui.backends.kvm.argv import KernelFiles, Place
from vmtui.backends.kvm.checked import convert
from vmtui.backends.kvm.creating import designed
from vmtui.backends.kvm.lifecycle import outfitted
from vmtui.backends.libvirt.layout import image_of, lay_out
from vmtui.backends.libvirt.places import Places
from vmtui.commands import imaging
from vmtui.errors import InputError, OperationError
from vmtui.images.image import Image, ImageKind
from vmtui.images.imports import kernels
from vmtui.images.library import Library
from vmtui.images.resolve import boot_from, resolve
from vmtui.model import Accel, Firmware
from vmtui.parser import build_parser
from vmtui.screens.draft import described
from vmtui.spec import BootKind, VMSpec
from vmtui.spec_problems import problems
from vmtui.units import GIB

X86 = bytes(510) + b"\x55\xaa" + b"\xeb\x66HdrS" + bytes(600)
ARM = b"MZ" + bytes(54) + b"ARM\x64" + bytes(600)
INITRD = b"\x1f\x8b and so on"
APPEND = 'console=ttyS0 root="LABEL=a b"'


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """The user's own, in a folder of the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Library()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    kernel, initrd = tmp_path / "vmlinuz-6.1", tmp_path / "initrd.img"
    kernel.write_bytes(X86)
    initrd.write_bytes(INITRD)
    return kernel, initrd


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Awaitable[str]]:
    async def typed(*argv: str | Path) -> str:
        options = build_parser().parse_args(["-c", "kvm:", "images", *map(str, argv)])
        assert await imaging.images(options) == 0
        return capsys.readouterr().out

    return typed


async def imported(library: Library, files: tuple[Path, Path]) -> Image:
    return await kernels.import_kernel(kernels.look(*files, APPEND), "lab", library)


async def test_it_is_imported_listed_shown_and_removed(
    library: Library, files: tuple[Path, Path], run: Callable[..., Awaitable[str]]
) -> None:
    kernel, initrd = files
    given = ("--initrd", initrd, "--append", APPEND, "--name", "lab")
    planned = await run("import", kernel, *given, "--plan")
    assert (
        planned == f"kernel: vmlinuz-6.1, for amd64\ninitrd: initrd.img\ncommand line: {APPEND}\n"
    )
    assert library.images() == []
    told = await run("import", kernel, *given)
    assert told.splitlines() == [
        "lab is in the library: a kernel with its initrd",
        "Make a VM of it: vmtui create lab --image lab",
    ]
    assert " ".join((await run("list")).splitlines()[1].split()).startswith("lab kernel ")
    shown = json.loads(await run("show", "lab", "--json"))
    assert (shown["append"], shown["arch"], shown["used_by"]) == (APPEND, "amd64", [])
    image = library.image("lab")
    assert image.path.read_bytes() == X86
    assert image.initrd is not None
    assert image.initrd.read_bytes() == INITRD
    assert {path.stat().st_mode & 0o777 for path in (image.path, image.initrd)} == {0o444}
    assert image.initrd_sha256 == hashlib.sha256(INITRD).hexdigest()
    await run("remove", "--yes", "lab")
    assert library.images() == []


async def test_alone_it_is_known_by_its_content_and_called_as_its_file(
    library: Library, files: tuple[Path, Path], run: Callable[..., Awaitable[str]]
) -> None:
    files[0].write_bytes(ARM)
    [image] = json.loads(await run("import", files[0], "--json"))["images"]
    assert (image["name"], image["kind"], image["arch"]) == ("vmlinuz-6.1", "kernel", "arm64")
    boot = boot_from(library.image("vmlinuz-6.1"))
    assert (boot.initrd, boot.append) == (None, "")
    assert described(boot) == "a kernel"


@pytest.mark.parametrize("changed", ["kernel", "initrd"])
async def test_a_changed_file_is_noticed(
    library: Library, files: tuple[Path, Path], changed: str
) -> None:
    image = await imported(library, files)
    assert await library.verify("lab") == image
    path = image.path.parent / changed
    path.chmod(0o644)
    path.write_bytes(b"other")
    with pytest.raises(OperationError, match="is not what it was"):
        await library.verify("lab")
    path.unlink()
    with pytest.raises(InputError, match=f"its file '{changed}' is not there"):
        library.image("lab")


async def test_what_is_none_is_refused_by_name(tmp_path: Path, files: tuple[Path, Path]) -> None:
    kernel, initrd = files
    packed, empty = tmp_path / "vmlinuz.gz", tmp_path / "empty"
    packed.write_bytes(b"\x1f\x8b" + bytes(600))
    empty.touch()
    for first, second, append, told in (
        (packed, initrd, "", f"{packed} is no Linux kernel: it is packed (gz)"),
        (initrd, kernel, "", f"{initrd} is no Linux kernel"),
        (empty, initrd, "", f"{empty} is no Linux kernel"),
        (kernel, kernel, "", f"{kernel} is no initrd: it is a kernel"),
        (kernel, empty, "", f"{empty} is no initrd: it is empty"),
        (kernel, tmp_path / "none", "", "there is no file"),
        (kernel, initrd, "a\nb", "not one plain line"),
    ):
        with pytest.raises(InputError) as refused:
            kernels.look(first, second, append)
        assert told in str(refused.value)
    with pytest.raises(InputError, match="Import it: vmtui images import"):
        await resolve(str(kernel))


async def test_without_its_initrd_nothing_comes(library: Library, files: tuple[Path, Path]) -> None:
    found = kernels.look(*files, APPEND)
    files[1].unlink()
    with pytest.raises(OperationError):
        await kernels.import_kernel(found, "lab", library)
    assert [path.name for path in library.root.iterdir() if path.is_dir()] == []


async def test_a_direct_vm_says_what_it_is_started_with(
    library: Library, files: tuple[Path, Path], tmp_path: Path
) -> None:
    image = await imported(library, files)
    boot = await resolve("lab", library)
    assert described(boot) == "a kernel with its initrd"
    definition = designed(VMSpec("web", boot), set())
    assert definition.images == {"lab"}
    assert definition.disk == ()
    assert convert(msgspec.to_builtins(definition)) == definition
    place = Place("qemu", tmp_path, tmp_path, Accel.TCG)
    definition = msgspec.structs.replace(definition, accel=Accel.TCG)
    outfit = await outfitted("web", definition, place)
    assert outfit.kernel == KernelFiles(image.path, image.initrd, APPEND)
    assert image.initrd is not None
    image.initrd.unlink()
    with pytest.raises(OperationError, match="web can't be started: its kernel needs"):
        await outfitted("web", definition, place)
    with_disk = designed(VMSpec("web", boot, disk_bytes=GIB), set())
    assert [disk.file for disk in with_disk.disk] == ["disk.qcow2"]


@pytest.mark.parametrize(
    ("boot", "kernel"),
    [
        ("kernel", {}),
        ("disk", {"kernel": {"file": "/k"}}),
        ("kernel", {"kernel": {"file": "k"}}),
        ("kernel", {"kernel": {"file": "/k\0"}}),
        ("kernel", {"kernel": {"file": "/k", "append": "a\0b"}}),
    ],
)
def test_what_can_not_be_started_is_refused(boot: str, kernel: dict[str, dict[str, str]]) -> None:
    known = {"version": 1, "uuid": "u", "vcpus": 1, "memory": "256M", "boot": boot}
    with pytest.raises(ValueError, match="kernel"):
        convert({**known, **kernel})


async def test_over_libvirt_each_file_is_a_volume_that_tells_its_image(
    library: Library, files: tuple[Path, Path]
) -> None:
    image = await imported(library, files)
    system = Places.of("qemu:///system", {})
    layout = await lay_out(VMSpec("web", boot_from(image)), "u", system, library, Path("/pool"))
    assert layout.drives == []
    assert layout.own == []
    kernel = layout.kernel
    assert kernel is not None
    assert kernel.initrd is not None
    assert kernel.cmdline == APPEND
    assert Path(kernel.kernel).name == f"vmtui-image-lab-{image.sha256[:12]}.kernel"
    assert {image_of(path, library.root) for path in (kernel.kernel, kernel.initrd)} == {"lab"}


async def test_secure_boot_is_refused(library: Library, files: tuple[Path, Path]) -> None:
    boot = boot_from(await imported(library, files))
    assert boot.kind is BootKind.KERNEL
    assert (await resolve("lab", library)) == boot
    assert library.image("lab").kind is ImageKind.KERNEL
    assert problems(VMSpec("web", boot, firmware=Firmware.UEFI)) == []
    [problem] = problems(VMSpec("web", boot, firmware=Firmware.SECURE_BOOT))
    assert problem.field == "firmware"
