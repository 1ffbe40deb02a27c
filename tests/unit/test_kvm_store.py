import asyncio
import fcntl
import os
from pathlib import Path

import pytest

from vmtui.backends.kvm.definition import VERSION, Definition
from vmtui.backends.kvm.store import Store
from vmtui.errors import BusyError, InputError, OperationError
from vmtui.files import write_whole
from vmtui.locks import try_lock
from vmtui.spec import BootKind

DEFINITION = Definition(
    version=VERSION,
    uuid="u-1",
    vcpus=2,
    memory="256M",
    boot=BootKind.MICRO,
    description="a [b] \\ c",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "vms", tmp_path / "run")
    store.prepare()
    return store


async def make(store: Store, name: str) -> None:
    async with store.staged(name) as folder:
        await store.write(folder, DEFINITION)


async def test_what_is_written_is_read(store: Store) -> None:
    await make(store, "web")
    assert store.names() == ["web"]
    assert store.read("web") == DEFINITION


async def test_folders_are_private(store: Store) -> None:
    await make(store, "web")
    for folder in (store.root, store.runtime_root, store.folder("web")):
        assert folder.stat().st_mode & 0o077 == 0, folder


def test_a_runtime_folder_that_is_there_is_made_private(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    Store(tmp_path / "vms", tmp_path / "run").prepare()
    assert (tmp_path / "run").stat().st_mode & 0o077 == 0


def test_a_folder_that_somebody_else_may_have_put_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OperationError, match="can't be used"):
        Store(tmp_path / "vms", tmp_path / "run").prepare()


def test_a_link_where_a_file_is_begun_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / f".vm.toml.{os.getpid()}").symlink_to(tmp_path / "precious")
    with pytest.raises(OperationError):
        write_whole(tmp_path / "vm.toml", b"x")
    assert (tmp_path / "precious").read_text() == "mine"


async def test_a_failure_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store.staged("web") as folder:
            (folder / "disk").write_bytes(b"x")
            raise ZeroDivisionError
    assert [path.name for path in store.root.iterdir()] == []


async def test_a_cancelled_creation_leaves_nothing(store: Store) -> None:
    entered = asyncio.Event()

    async def creation() -> None:
        async with store.staged("web"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(creation())
    await entered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert [path.name for path in store.root.iterdir()] == []


async def test_a_name_is_taken_once_whoever_was_first(store: Store) -> None:
    async with store.staged("Web") as folder:
        await store.write(folder, DEFINITION)
        await make(store, "other")
    with pytest.raises(InputError, match="Web exists already"):
        await make(store, "web")
    assert store.names() == ["Web", "other"]


async def test_nothing_is_given_a_name_that_another_has(store: Store) -> None:
    for name in ("web", "db"):
        async with store.staged(name) as stage:
            await store.write(stage, DEFINITION)
    with pytest.raises(InputError, match="a VM named db exists already"):
        await store.rename("web", "DB")
    await store.rename("web", "Web")
    assert store.names() == ["Web", "db"]


async def test_what_a_killed_process_left_is_swept_and_nothing_else(store: Store) -> None:
    (store.root / ".new-web-x1").mkdir()
    (store.root / ".old-db-x2").mkdir()
    async with store.staged("web") as folder:
        store.sweep()
        assert [path.name for path in store.root.iterdir()] == [folder.name]


async def test_one_name_can_be_staged_twice_and_is_given_once(store: Store) -> None:
    with pytest.raises(InputError, match="exists already"):
        async with store.staged("web"):
            await make(store, "web")
    assert [path.name for path in store.root.iterdir() if path.name != ".lock"] == ["web"]


_WITH_NIC = (
    b"version = 1\nuuid='u'\nvcpus = 1\nmemory='1G'\nboot='micro'\n"
    b"[[nic]]\nmac='52:54:00:00:00:01'\n"
)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "version is None"),
        (b"version = 9", "version is 9"),
        (b"\xff\xfe", "not UTF-8"),
        (b"version = 1\nuuid = 'u'", "vcpus"),
        (b"version = 1\nuuid='u'\nvcpus = 0\nmemory='1G'\nboot='micro'", "vcpus"),
        (b"version = 1\nuuid='u'\nvcpus = 1\nmemory='lots'\nboot='micro'", "not a size"),
        (b"version = 1\nuuid='u'\nvcpus = 1\nmemory='1G'\nboot='floppy'", "boot"),
        (b"version = 1\nuuid='u'\nvcpus = 1\nmemory='1G'\nboot='micro'\nx=1", "unknown field"),
        (_WITH_NIC + b"network='tap'", "tap"),
        (_WITH_NIC + b"network='tap'\ntap='a,script=/x'", "tap"),
        (_WITH_NIC + b"tap='tap0'", "tap"),
        (_WITH_NIC + b"network='bridge'", "network"),
        (b"[[[", "not a VM's definition"),
    ],
)
async def test_a_corrupt_definition_says_what_is_wrong(
    store: Store, content: bytes, told: str
) -> None:
    store.folder("web").mkdir()
    (store.folder("web") / "vm.toml").write_bytes(content)
    with pytest.raises(InputError) as caught:
        store.read("web")
    assert told in str(caught.value)
    assert "vm.toml" in str(caught.value)


async def test_two_changes_are_serialised(store: Store) -> None:
    order = []

    async def change(who: str) -> None:
        async with store.locked("web"):
            order.append(f"{who} in")
            await asyncio.sleep(0)
            order.append(f"{who} out")

    await asyncio.gather(change("a"), change("b"))
    assert order in (["a in", "a out", "b in", "b out"], ["b in", "b out", "a in", "a out"])


async def test_a_lock_that_is_never_given_back_is_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmtui.backends.kvm.store.LOCK_TIMEOUT_S", 0.05)
    async with store.locked("web"):
        with pytest.raises(BusyError, match="web is being changed"):
            async with store.locked("web"):
                pass


async def test_a_read_only_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(OperationError, match="can't be written") as caught:
        await make(store, "web")
    assert "read-only file system" in caught.value.hint


async def test_removal_takes_the_runtime_folder_too(store: Store) -> None:
    await make(store, "web")
    async with store.locked("web"):
        (store.runtime("web") / "console.log").write_text("x")
        await store.remove("web")
    assert store.names() == []
    assert list(store.runtime_root.iterdir()) == []


async def test_who_waited_for_a_deletion_finds_room_for_sockets(store: Store) -> None:
    await make(store, "web")

    async def makes_it_anew() -> bool:
        async with store.locked("web"):
            await make(store, "web")
            return store.runtime("web").is_dir()

    async with store.locked("web"):
        anew = asyncio.create_task(makes_it_anew())
        await asyncio.sleep(0)
        await store.remove("web")
    assert await anew


def test_a_lock_whose_file_was_taken_away_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock = tmp_path / "lock", fcntl.flock

    def too_late(descriptor: int, how: int) -> None:
        monkeypatch.undo()
        path.unlink()  # by its last holder, after it was opened
        flock(descriptor, how)

    monkeypatch.setattr("fcntl.flock", too_late)
    lock = try_lock(path)
    assert lock is not None
    assert try_lock(path) is None
    os.close(lock)
