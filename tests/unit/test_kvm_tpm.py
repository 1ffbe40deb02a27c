"""The TPM of a direct VM with real swtpm: made, asked, backed up, restored, cleared, encrypted."""

from __future__ import annotations

import asyncio
import io
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vmtui.backends.kvm import swtpm, tpm_making, tpm_state
from vmtui.backends.kvm.argv import Place
from vmtui.backends.kvm.swtpm import Chip
from vmtui.errors import InputError, OperationError, StateError, VmtuiError
from vmtui.model import Accel


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of VMs with a plain and an encrypted TPM, made once."""
    root = tmp_path_factory.mktemp("data")
    for name, encrypted in (("plain", False), ("locked", True)):
        (root / "vms" / name).mkdir(parents=True)
        asyncio.run(tpm_making.prepare(name, chip_in(root, name, encrypted=encrypted)))
    return root


def chip_in(root: Path, name: str, *, encrypted: bool = False) -> Chip:
    key = root / "vms" / name / "tpm.key" if encrypted else None
    return Chip(root / "vms" / name / "tpm", key=key, authority=root / "authority")


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of one's own."""
    shutil.copytree(made, tmp_path / "data")
    return tmp_path / "data"


def banks(chip: Chip, scratch: Path) -> tuple[str, ...]:
    return asyncio.run(tpm_state.read_banks(chip, chip.state, scratch))


def test_a_new_one_has_keys_certificates_and_a_bank(root: Path) -> None:
    chip = chip_in(root, "plain")
    assert banks(chip, root) == ("sha256",)
    assert swtpm.is_encrypted(chip.state) is False
    # EK certificates alone are over a kilobyte; without them the state has three.
    assert chip.state.stat().st_size > 4096
    assert (root / "authority" / "issuercert.pem").exists()


def test_all_of_it_is_private(root: Path) -> None:
    for path in (root / "authority", root / "vms" / "plain" / "tpm"):
        assert path.stat().st_mode & 0o077 == 0, path
    for path in (root / "vms" / "locked" / "tpm.key", chip_in(root, "plain").state):
        assert path.stat().st_mode & 0o177 == 0, path


def test_asking_leaves_the_state_as_it_is(root: Path) -> None:
    chip = chip_in(root, "plain")
    before = chip.state.read_bytes()
    banks(chip, root)
    assert chip.state.read_bytes() == before
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []


async def test_making_it_again_keeps_what_there_is(root: Path) -> None:
    chip = chip_in(root, "plain")
    before = chip.state.read_bytes()
    await tpm_making.prepare("plain", chip)
    assert chip.state.read_bytes() == before


def test_encrypted_state_is_unreadable_without_its_key(root: Path) -> None:
    chip = chip_in(root, "locked", encrypted=True)
    assert swtpm.is_encrypted(chip.state) is True
    assert banks(chip, root) == ("sha256",)
    with pytest.raises(OperationError) as without:
        banks(replace(chip, key=None), root)
    assert without.value.why == "it is encrypted, and there is no key"
    other = root / "other.key"
    other.write_text("ab" * 32)
    with pytest.raises(OperationError) as wrong:
        banks(replace(chip, key=other), root)
    assert wrong.value.why == "it is damaged, or encrypted with another key"


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("locked", lambda chip: replace(chip, key=None), "names no key"),
        ("locked", lambda chip: replace(chip, key=chip.folder / "gone"), "is gone"),
        ("plain", lambda chip: replace(chip, key=chip.folder / "new"), "is not encrypted"),
    ],
)
async def test_a_state_and_a_key_that_do_not_go_together_are_refused(
    root: Path, name: str, change: Callable[[Chip], Chip], why: str
) -> None:
    chip = change(chip_in(root, name, encrypted=name == "locked"))
    before = chip.state.read_bytes()
    with pytest.raises(StateError) as refused:
        await tpm_making.prepare(name, chip)
    assert why in refused.value.why
    assert chip.state.read_bytes() == before
    assert chip.key is None or not chip.key.exists()  # no key is made for what it can't open


async def test_one_can_be_of_version_1_2_beside_a_2_0(root: Path) -> None:
    chip = replace(chip_in(root, "plain"), version="1.2", model="tis")
    await tpm_making.prepare("plain", chip)
    assert await tpm_state.read_banks(chip, chip.state, root) == ("sha1",)
    assert chip_in(root, "plain").state.exists()


async def test_a_failure_to_make_one_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "key").write_text("no hexadecimal digits")
    with pytest.raises(OperationError):
        await tpm_making.prepare("web", Chip(tmp_path / "web" / "tpm", key=tmp_path / "key"))
    assert list((tmp_path / "web").iterdir()) == []


async def test_a_cancelled_making_leaves_nothing_and_a_killed_one_is_swept(root: Path) -> None:
    folder = root / "vms" / "new"
    (folder / ".tpm.new-killed").mkdir(parents=True)
    chip = chip_in(root, "new")
    making = asyncio.create_task(tpm_making.prepare("new", chip))
    async with asyncio.timeout(10):
        while not [p for p in folder.glob(".tpm.new-*") if p.name != ".tpm.new-killed"]:
            await asyncio.sleep(0.001)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert list(folder.iterdir()) == []


# -- back up and restore ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "locked"])
async def test_a_backup_brings_the_same_state_back(root: Path, tmp_path: Path, name: str) -> None:
    chip = chip_in(root, name, encrypted=name == "locked")
    before = chip.state.read_bytes()
    to = tmp_path / "tpm.tar"
    await tpm_state.back_up(name, "u-1", chip, to)
    assert to.stat().st_mode & 0o177 == 0
    await tpm_state.clear(name, chip)
    assert chip.state.read_bytes() != before
    assert await tpm_state.read_banks(chip, chip.state, root) == ("sha256",)
    (chip.folder / "tpm2-00.volatilestate").touch()
    await tpm_state.restore(name, chip, to, root)
    assert chip.state.read_bytes() == before
    assert sorted(path.name for path in chip.folder.iterdir()) == [chip.state.name]
    assert {path.name for path in chip.folder.parent.iterdir()} - {"tpm.key"} == {"tpm"}


async def test_a_backup_never_replaces_a_file(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        await tpm_state.back_up("plain", "u-1", chip_in(root, "plain"), tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "precious"


async def test_what_another_kind_of_tpm_had_is_refused(root: Path, tmp_path: Path) -> None:
    plain, locked = chip_in(root, "plain"), chip_in(root, "locked", encrypted=True)
    await tpm_state.back_up("locked", "u-1", locked, tmp_path / "locked.tar")
    other_key = replace(locked, key=root / "other.key")
    (root / "other.key").write_text("ab" * 32)
    old = replace(plain, version="1.2")
    for chip, why in ((plain, "encrypted"), (other_key, "another key"), (old, "of a TPM 2.0")):
        before = [path.read_bytes() for path in chip.folder.iterdir() if path.is_file()]
        with pytest.raises(InputError) as refused:
            await tpm_state.restore("plain", chip, tmp_path / "locked.tar", root)
        assert why in refused.value.why
        assert [path.read_bytes() for path in chip.folder.iterdir() if path.is_file()] == before


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


async def hostile(root: Path) -> dict[str, bytes]:
    """What somebody could hand over as a backup."""
    good_path = root / "good.tar"
    await tpm_state.back_up("plain", "u-1", chip_in(root, "plain"), good_path)
    good = good_path.read_bytes()
    with tarfile.open(good_path) as archive:
        manifest, state = (
            (member, (archive.extractfile(member) or io.BytesIO()).read()) for member in archive
        )
    upwards, absolute = tarfile.TarInfo("../../evil"), tarfile.TarInfo("/etc/evil")
    return {
        "empty": b"",
        "no tar": b"x" * 4096,
        "cut off": good[: len(good) // 2],
        "one bit": good.replace(state[1], state[1][:-1] + bytes([state[1][-1] ^ 1])),
        "upwards": tar_of(manifest, (upwards, state[1])),
        "absolute": tar_of(manifest, (absolute, state[1])),
        "a link": tar_of(manifest, (link("tpm2-00.permall", "/etc/shadow"), b"")),
        "a third": tar_of(manifest, state, (tarfile.TarInfo("more"), b"")),
        "no manifest": tar_of(state),
        "another manifest": tar_of((tarfile.TarInfo("manifest.json"), b'{"format": 1}'), state),
        "too large": b"\0" * (3 << 20),
    }


async def test_hostile_archives_are_refused_and_change_nothing(root: Path) -> None:
    chip = chip_in(root, "plain")
    before = chip.state.read_bytes()
    files = {path for path in root.rglob("*") if path.is_file()}
    for what, content in (await hostile(root)).items():
        (root / "hostile.tar").write_bytes(content)
        with pytest.raises(VmtuiError) as refused:
            await tpm_state.restore("plain", chip, root / "hostile.tar", root)
        assert isinstance(refused.value, InputError), what
        assert what != "one bit" or "its checksum does not fit" in refused.value.why
    assert chip.state.read_bytes() == before
    assert {path for path in root.rglob("*") if path.is_file()} - files == {
        root / "good.tar",
        root / "hostile.tar",
    }


# -- its process -----------------------------------------------------------------------------


async def test_its_process_is_known_to_others_until_it_ends(root: Path) -> None:
    chip = chip_in(root, "locked", encrypted=True)
    runtime = root / "run"
    runtime.mkdir(mode=0o700)
    place = Place("qemu", chip.folder.parent, runtime, Accel.TCG)
    process = await swtpm.start("locked", chip, place)
    try:
        assert place.tpm.stat().st_mode & 0o177 == 0
        adopted = swtpm.adopt(place)
        assert adopted is not None
        assert adopted.pid == process.pid
        told = await tpm_state.facts(chip, place, adopted, active=True, lost=not adopted.alive)
        assert (told.health, told.encrypted, told.banks) == ("running", True, ("sha256",))
        process.kill()
        await adopted.exited()
        told = await tpm_state.facts(chip, place, adopted, active=True, lost=not adopted.alive)
        assert told.health == swtpm.LOST
        adopted.release()
    finally:
        await process.kill_and_wait("swtpm")
        process.release()
    assert swtpm.adopt(place) is None


async def test_why_it_did_not_start_is_told_with_what_confines_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = root / ("long" * 30)  # too long a path for a socket
    runtime.mkdir()
    place = Place("qemu", root / "vms" / "plain", runtime, Accel.TCG)
    for profile, hint in ((root / "none", ""), (root / "vms", "AppArmor confines swtpm")):
        monkeypatch.setattr(swtpm, "PROFILE", profile)
        with pytest.raises(OperationError, match="did not start") as refused:
            await swtpm.start("plain", chip_in(root, "plain"), place)
        assert "too long" in refused.value.why
        assert refused.value.hint.startswith(hint)
    assert swtpm.adopt(place) is None


async def test_facts_of_one_that_is_off(root: Path) -> None:
    (root / "run").mkdir()
    place = Place("qemu", root / "vms" / "plain", root / "run", Accel.TCG)
    chip = chip_in(root, "plain")
    told = await tpm_state.facts(chip, place, None, active=True, lost=False)
    assert "comes when the VM is started anew" in told.health  # it was added to a VM that runs
    told = await tpm_state.facts(chip, place, None, active=False, lost=False)
    assert (told.health, told.model, told.version, told.state) == ("off", "crb", "2.0", chip.folder)
    chip.state.write_bytes(b"nonsense")
    told = await tpm_state.facts(chip, place, None, active=False, lost=False)
    assert told.banks == ()
    assert told.health.startswith("the state of the TPM can't be read")
