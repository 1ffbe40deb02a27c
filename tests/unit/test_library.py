import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from vmtui.errors import BusyError, InputError, OperationError, RefusedError
from vmtui.images.library import Image, ImageKind, Library
from vmtui.progress import Progress

CONTENT = b"\0" * 510 + b"\x55\xaa" + b"disk" * 4096


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "images")


def file(folder: Path, content: bytes = CONTENT) -> Path:
    path = folder / "some.img"
    path.write_bytes(content)
    return path


def given(path: Path, name: str = "web") -> Image:
    return Image(name, ImageKind.DISK, path, "raw", len(CONTENT), "", title="A disk", user="me")


async def added(library: Library, tmp_path: Path, name: str = "web") -> Image:
    return await library.add(given(file(tmp_path), name))


def left(library: Library) -> list[str]:
    """What is in the library's folder beside images and locks."""
    return [p.name for p in library.root.iterdir() if p.name.startswith((".new", ".old"))]


async def test_what_is_added_can_be_read_again_and_not_be_written(
    library: Library, tmp_path: Path
) -> None:
    image = await added(library, tmp_path)
    assert (image.name, image.title, image.user) == ("web", "A disk", "me")
    assert image.path == library.root / "web" / "disk.raw"
    assert image.path.read_bytes() == CONTENT
    assert image.path.stat().st_mode & 0o777 == 0o444
    assert Library(library.root).images() == [image] == [library.image("web")]
    assert (tmp_path / "some.img").exists()  # what is not the library's own is copied
    assert left(library) == []
    assert library.root.stat().st_mode & 0o077 == 0


async def test_what_was_made_in_the_library_is_moved(library: Library) -> None:
    async with library.scratch() as folder:
        source = file(folder)
        inode = source.stat().st_ino
        image = await library.add(given(source))
        assert not source.exists()
    assert image.path.stat().st_ino == inode
    assert left(library) == []


@pytest.mark.parametrize("name", ["", "a/b", "..", ".x", "-x", "a b", "x" * 64, "micro", "None"])
async def test_names_that_can_not_be(library: Library, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        await added(library, tmp_path, name)
    assert library.images() == []


async def test_a_name_is_taken_in_any_case(library: Library, tmp_path: Path) -> None:
    await added(library, tmp_path)
    with pytest.raises(InputError, match="has an image web already"):
        await added(library, tmp_path, "WEB")


async def test_of_two_additions_at_once_one_is_refused(library: Library, tmp_path: Path) -> None:
    results = await asyncio.gather(
        added(library, tmp_path), added(library, tmp_path), return_exceptions=True
    )
    assert [type(result) for result in results if isinstance(result, Exception)] == [InputError]
    assert [image.name for image in library.images()] == ["web"]
    assert left(library) == []


async def test_one_that_is_not_there_names_those_that_are_like_it(
    library: Library, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no image 'web'"):
        library.image("web")
    await added(library, tmp_path, "debian-12")
    with pytest.raises(InputError, match=r"Did you mean debian-12\?"):
        library.image("debain-12")
    with pytest.raises(InputError, match="There is: debian-12"):
        library.image("x\x1b[31m")


async def test_cancelled_while_its_sum_is_computed_nothing_is_left(
    library: Library, tmp_path: Path
) -> None:
    task: asyncio.Task[Image] | None = None

    def cancel(_: Progress) -> None:
        assert task is not None
        task.cancel()

    task = asyncio.create_task(library.add(given(file(tmp_path)), cancel))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert library.images() == []
    assert left(library) == []


async def test_what_a_killed_process_left_is_removed_by_the_next_and_not_before(
    library: Library, tmp_path: Path
) -> None:
    code = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from vmtui.images.library import Library\n"
        "async def main():\n"
        "    async with Library(Path(sys.argv[1])).scratch() as folder:\n"
        "        (folder / 'half').write_bytes(b'half')\n"
        "        print(folder, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(library.root)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    folder = Path((await process.stdout.readline()).decode().strip())
    await added(library, tmp_path, "first")
    assert folder.exists()
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    await added(library, tmp_path, "second")
    assert not folder.exists()


async def test_one_in_use_is_not_removed_and_the_users_are_named(
    library: Library, tmp_path: Path
) -> None:
    await added(library, tmp_path)

    async def users() -> list[str]:
        return ["a", "b"]

    with pytest.raises(RefusedError, match="a, b can't do without it"):
        await library.remove("web", users)
    async with library.held("web") as image:
        with pytest.raises(BusyError):
            await library.remove("web")
        assert image.path.exists()
        async with library.held("web"):  # several may read it at once
            pass
    await library.remove("web")
    assert library.images() == []
    assert left(library) == []
    for name in ("web", "..", ""):
        with pytest.raises(InputError, match="there is no image"):
            await library.remove(name)


async def test_verify_tells_both_sums_of_one_that_has_changed(
    library: Library, tmp_path: Path
) -> None:
    image = await added(library, tmp_path)
    seen: list[Progress] = []
    assert await library.verify("web", seen.append) == image
    assert seen[-1].fraction == 1.0
    image.path.chmod(0o644)
    image.path.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(OperationError, match=f"and it came with {image.sha256}"):
        await library.verify("web")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('file = "disk.raw"', 'file = "../../secret"', "is not there"),
        ('kind = "disk"', 'kind = "pet"', "kind"),
        ("version = 1", "version = 2", "later vmtui"),
        ("version = 1", "version = ", "Invalid value"),
    ],
)
async def test_a_broken_one_is_told_apart_and_can_be_removed(
    library: Library, tmp_path: Path, old: str, new: str, told: str
) -> None:
    await added(library, tmp_path)
    await added(library, tmp_path, "good")
    record = library.root / "web" / "image.toml"
    text = record.read_text()
    assert old in text
    record.write_text(text.replace(old, new))
    assert [image.name for image in library.images()] == ["good"]
    assert [told in str(problem) for problem in library.broken()] == [True]
    with pytest.raises(InputError, match="can't be used"):
        library.image("web")
    await library.remove("web")
    assert library.broken() == []


async def test_a_library_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("not a folder")
    with pytest.raises(OperationError):
        await added(Library(tmp_path / "images"), tmp_path)
