"""The state of a VM's TPM: told, backed up, restored and cleared, with the VM off."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from vmtui.backends.kvm import swtpm, tpm_making
from vmtui.backends.kvm.argv import Place
from vmtui.backends.kvm.process import Process
from vmtui.backends.kvm.swtpm import Chip
from vmtui.backends.kvm.tpm_backup import FORMAT, Manifest, packed, unpacked
from vmtui.command import run
from vmtui.errors import InputError, OperationError, VmtuiError
from vmtui.files import not_writable, write_new, write_whole
from vmtui.hardware.around import TpmFacts, TpmHealth
from vmtui.units import plain
from vmtui.whole import whole_in_thread

ANSWER_TIMEOUT_S = 10.0

# TPM2_GetCapability(TPM_CAP_PCRS), TCG's part 3; TPM_GetCapability(manufacturer) of TPM 1.2.
_QUESTIONS = {
    "2.0": bytes.fromhex("8001 00000016 0000017a 00000005 00000000 00000001"),
    "1.2": bytes.fromhex("00c1 00000016 00000065 00000005 00000004 00000103"),
}
_HASHES = {0x04: "sha1", 0x0B: "sha256", 0x0C: "sha384", 0x0D: "sha512", 0x12: "sm3_256"}
_WRONG_KEY = "HMAC failed"
_NO_KEY = "Could not find plain data"


# -- what it is ------------------------------------------------------------------------------


async def facts(
    chip: Chip, place: Place, running: Process | None, *, active: bool, lost: bool
) -> TpmFacts:
    """What is known of it; `running` is the swtpm beside a QEMU that is `active`.

    `lost`: QEMU was started with a TPM whose swtpm has ended.
    """
    size_bytes = _size_bytes(chip.state)
    banks: tuple[str, ...] = ()
    runs = running is not None and running.alive
    health: str
    if chip.model == swtpm.REMOVED:
        health = TpmHealth.REMOVED
    elif lost:
        health = swtpm.LOST
    elif active:
        health = TpmHealth.RUNNING if runs else TpmHealth.AWAITED
    else:
        health = TpmHealth.NEW if size_bytes is None else TpmHealth.OFF
    if size_bytes is not None:
        try:
            banks = await read_banks(chip, chip.state, place.runtime.parent)
        except VmtuiError as error:
            if not active:
                health = f"{error.what}: {error.why}"
    return TpmFacts(
        model=chip.model,
        version=chip.version,
        banks=banks,
        state=chip.folder if chip.folder.is_dir() else None,
        size_bytes=size_bytes,
        encrypted=swtpm.is_encrypted(chip.state),
        health=plain(health),
        log=plain(swtpm.last_words(place), keep_lines=True),
    )


def _size_bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


async def read_banks(chip: Chip, state: Path, scratch: Path) -> tuple[str, ...]:
    """The banks of PCRs that are active in a state, asked of a TPM that is run on a copy of it.

    Raises OperationError with the reason where no TPM comes up with that state and the chip's key.
    """
    with tempfile.TemporaryDirectory(prefix=".tpm-", dir=scratch) as folder:
        try:
            await whole_in_thread(shutil.copyfile, state, Path(folder) / chip.state.name)
        except OSError as error:
            raise OperationError(f"{state} can't be read", why=error.strerror or "") from error
        answer = await _asked(chip, Path(folder))
    return ("sha1",) if chip.version == "1.2" else tuple(_active_banks(answer))


async def _asked(chip: Chip, folder: Path) -> bytes:
    """The answer of a TPM that runs just for that."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # The question waits in the socket, with the end of it: swtpm reads both, and ends.
        ours.sendall(_QUESTIONS[chip.version])
        ours.shutdown(socket.SHUT_WR)
        try:
            await run(
                *("swtpm", "socket", *chip.options, "--tpmstate", f"dir={folder},mode=0600"),
                *("--server", f"type=tcp,fd={theirs.fileno()}"),
                *("--flags", "not-need-init,startup-clear"),
                timeout_s=ANSWER_TIMEOUT_S,
                pass_fds=(theirs.fileno(),),
            )
        except OperationError as error:
            raise OperationError(
                "the state of the TPM can't be read", why=_meaning(error.why)
            ) from error
        ours.setblocking(False)
        with suppress(BlockingIOError):
            return ours.recv(4096)
        return b""


def _meaning(said: str) -> str:
    """What swtpm's words come to."""
    if _WRONG_KEY in said:
        return "it is damaged, or encrypted with another key"
    if _NO_KEY in said:
        return "it is encrypted, and there is no key"
    return said.splitlines()[-1] if said else "swtpm did not say why"


def _active_banks(answer: bytes) -> list[str]:
    """From TPML_PCR_SELECTION: after 19 bytes each has a hash, the size of its map and the map."""
    banks, at = [], 19
    while at + 3 <= len(answer):
        size = answer[at + 2]
        algorithm = int.from_bytes(answer[at : at + 2], "big")
        if any(answer[at + 3 : at + 3 + size]):
            banks.append(_HASHES.get(algorithm, f"{algorithm:#06x}"))
        at += 3 + size
    return banks


# -- back up, restore, clear -----------------------------------------------------------------


async def back_up(name: str, vm: str, chip: Chip, to: Path) -> None:
    """Its state as one file that only this user can read. Raises InputError, OperationError."""
    content = await asyncio.to_thread(_read_state, name, chip)
    manifest = Manifest(
        format=FORMAT,
        vm=vm,
        name=name,
        version=chip.version,
        encrypted=bool(swtpm.is_encrypted(chip.state)),
        file=chip.state.name,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        made_at_s=time.time(),
    )
    await whole_in_thread(write_new, to, packed(manifest, content))


def _read_state(name: str, chip: Chip) -> bytes:
    try:
        return chip.state.read_bytes()
    except FileNotFoundError as error:
        raise OperationError(
            f"the TPM of {name} has no state yet", hint=f"Start it once: vmtui start {name}"
        ) from error
    except OSError as error:
        raise OperationError(f"{chip.state} can't be read", why=error.strerror or "") from error


async def restore(name: str, chip: Chip, source: Path, scratch: Path) -> None:
    """Replace its state by that of a backup, whole or not at all. Raises InputError with why not.

    A TPM has to come up with it first, so what is damaged or needs another key replaces nothing.
    """
    manifest, content = await asyncio.to_thread(unpacked, source)
    if manifest.version != chip.version:
        raise InputError(
            f"{source} can't be restored",
            why=f"it is of a TPM {manifest.version}; {name} has a TPM {chip.version}",
        )
    if manifest.encrypted != (chip.key is not None):
        has = "is" if manifest.encrypted else "is not"
        raise InputError(
            f"{source} can't be restored",
            why=f"its state {has} encrypted, other than that of {name}",
            hint="Restore it to a VM with the key, or without one, that it was made with.",
        )
    with tempfile.TemporaryDirectory(prefix=".tpm-", dir=scratch) as folder:
        state = Path(folder) / "state"
        await asyncio.to_thread(write_whole, state, content)
        try:
            await read_banks(chip, state, scratch)
        except OperationError as error:
            raise InputError(f"{source} can't be restored", why=error.why) from error
    await whole_in_thread(_replace, chip, content)


def _replace(chip: Chip, content: bytes) -> None:
    try:
        chip.folder.mkdir(mode=0o700, exist_ok=True)
        _forget_moment(chip.folder)
    except OSError as error:
        raise not_writable(chip.folder, error) from error
    write_whole(chip.state, content, keep_owner=True)


def _forget_moment(folder: Path) -> None:
    """Remove what a TPM keeps over a suspend only: it belongs to the state that goes."""
    for pattern in ("*.volatilestate", "*.savestate"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _remove(chip: Chip) -> None:
    try:
        _forget_moment(chip.folder)
        chip.state.unlink(missing_ok=True)
        (chip.folder / ".lock").unlink(missing_ok=True)
        if not any(chip.folder.iterdir()):  # one of another version has its state there too
            chip.folder.rmdir()
    except OSError as error:
        raise not_writable(chip.folder, error) from error


async def clear(name: str, chip: Chip) -> None:
    """Begin anew: a new state is made, and takes the place of the old one whole.

    That of a TPM that was taken out is removed.
    """
    if chip.model == swtpm.REMOVED:
        await whole_in_thread(_remove, chip)
        return
    if not chip.state.exists():
        await tpm_making.prepare(name, chip)
        return
    made = await tpm_making.make(name, chip)
    try:
        content = await asyncio.to_thread(made.read_bytes)
        await whole_in_thread(_replace, chip, content)
    finally:
        await asyncio.to_thread(shutil.rmtree, made.parent, ignore_errors=True)
