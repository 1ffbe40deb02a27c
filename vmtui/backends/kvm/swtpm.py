"""The software TPM of a direct VM: which files it is made of, and its process beside QEMU's."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vmtui.backends.kvm.argv import Place
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.process import Process, Record, boot_id, read_record, write_record
from vmtui.backends.kvm.procfs import start_ticks
from vmtui.command import missing
from vmtui.errors import MissingError, OperationError
from vmtui.whole import whole_in_thread

STATE = "tpm"
REMOVED = "off"
AUTHORITY = "tpm-authority"
"""Beside the folder of all VMs: what signs the certificates of their TPMs."""
CIPHER = "aes-256-cbc"
PROFILE = Path("/etc/apparmor.d/usr.bin.swtpm")
"""Ubuntu's."""

READY_TIMEOUT_S = 5.0
END_TIMEOUT_S = 5.0
"""After the end of its QEMU. One that takes longer is killed, which its state survives."""

LOST = "swtpm has ended: the guest's TPM answers nothing until the VM was off and is started again"
"""QEMU connects to its TPM once, when it starts."""

_STATE_FILES = {"2.0": "tpm2-00.permall", "1.2": "tpm-00.permall"}
# libtpms' header of a blob: version, least version, length of the header, flags (both 16 bits).
_HEADER_BYTES = 6
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class Chip:
    """A software TPM: what the guest sees, and the files that it is made of.

    Its state is encrypted if it has a `key`, which is never in the folder of the state.
    """

    folder: Path
    model: str = "crb"
    version: str = "2.0"
    key: Path | None = None
    authority: Path | None = None  # the folder of the one that signs its certificates

    @property
    def state(self) -> Path:
        """All that it keeps; swtpm replaces this file whole whenever that changes."""
        return self.folder / _STATE_FILES[self.version]

    @property
    def options(self) -> list[str]:
        """How swtpm is told of its state and of the key."""
        told = ["--tpm2"] if self.version == "2.0" else []
        if self.key is not None:
            told += ["--key", f"file={self.key},mode={CIPHER},format=hex"]
        return told


def chip_of(definition: Definition, folder: Path) -> Chip | None:
    """The TPM of the VM in `folder`; None without one."""
    if not definition.tpm_model:
        return None
    key = folder / definition.tpm_key if definition.tpm_key else None
    authority = folder.parent.parent / AUTHORITY
    return Chip(folder / STATE, definition.tpm_model, definition.tpm_version, key, authority)


def removed_chip(definition: Definition, folder: Path) -> Chip | None:
    """The TPM that was taken out of the VM in `folder`, whose state is still there."""
    key = folder / definition.tpm_key if definition.tpm_key else None
    chips = (Chip(folder / STATE, REMOVED, version, key) for version in _STATE_FILES)
    return next((chip for chip in chips if chip.state.exists()), None)


def is_encrypted(state: Path) -> bool | None:
    """Whether a file of state is; None if it can't be read."""
    try:
        with state.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return None
    return bool(header[5] & _ENCRYPTED) if len(header) == _HEADER_BYTES else None


# -- its process -----------------------------------------------------------------------------


async def start(name: str, chip: Chip, place: Place) -> Process:
    """Run swtpm for the VM; it ends by itself when QEMU does."""
    place.tpm.unlink(missing_ok=True)
    log = place.runtime / "swtpm.log"
    command = [
        *("swtpm", "socket", *chip.options, "--terminate"),
        *("--tpmstate", f"dir={chip.folder},mode=0600"),
        *("--ctrl", f"type=unixio,path={place.tpm},mode=0600"),
        *("--log", f"file={log},level=1"),
    ]
    try:
        process = Process.start(command, log=log)
    except MissingError as error:
        raise missing("swtpm") from error
    try:
        await _ready(name, process, place)
        started = Record(command, boot_id(), "", process.pid, start_ticks(process.pid) or 0)
        await whole_in_thread(write_record, record_path(place), started)
    except BaseException:
        process.kill()
        process.release()
        raise
    return process


async def _ready(name: str, process: Process, place: Place) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_TIMEOUT_S):
            while process.alive and not place.tpm.exists():
                await asyncio.sleep(0.01)
    if not process.alive or not place.tpm.exists():
        raise OperationError(
            f"the TPM of {name} did not start",
            why=last_words(place) or "swtpm did not say why",
            hint=_advice(place),
        )


def _advice(place: Place) -> str:
    if not PROFILE.exists():
        return ""
    return f"AppArmor confines swtpm here: {PROFILE} has to allow {place.runtime}/** rwk."


def record_path(place: Place) -> Path:
    """Where swtpm's pid and command line are kept, for those who did not start it."""
    return place.runtime / "tpm.json"


def adopt(place: Place) -> Process | None:
    """The swtpm beside a QEMU that runs; None if there is none, or none any more."""
    record = read_record(record_path(place))
    return Process.adopt(record) if record else None


def last_words(place: Place, limit_bytes: int = 2000) -> str:
    """The end of swtpm's log: of its last run, until the VM is started again."""
    try:
        said = (place.runtime / "swtpm.log").read_text("utf-8", "replace")
    except OSError:
        return ""
    return said[-limit_bytes:].strip()
