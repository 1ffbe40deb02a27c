"""The state of a new TPM: made whole or not at all, with a key and certificates of its own."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec

from vmtui.backends.kvm.swtpm import CIPHER, Chip, is_encrypted
from vmtui.command import run
from vmtui.errors import OperationError, StateError, UnsupportedError, VmtuiError
from vmtui.files import flush_folder, not_writable, write_whole
from vmtui.whole import whole_in_thread

SETUP_TIMEOUT_S = 60.0

_KEY_BYTES = 32
_MAKING = ".tpm.new-"


async def prepare(name: str, chip: Chip) -> None:
    """Make the state if there is none; all or nothing, also when killed.

    What there is stays as it is. Raises MissingError, OperationError, and StateError where the
    state and its key do not go together: swtpm would find nothing of use in it.
    """
    sweep(chip.folder.parent)
    if chip.state.exists():
        _check_key(name, chip)
        return
    made = await make(name, chip)
    try:
        await asyncio.to_thread(_put, made, chip)
    except OSError as error:
        raise not_writable(chip.folder, error) from error
    finally:
        await asyncio.to_thread(shutil.rmtree, made.parent, ignore_errors=True)


async def make(name: str, chip: Chip) -> Path:
    """A new state, in a folder of its own beside that of the TPM: who asked for it removes that."""
    sweep(chip.folder.parent)
    if "," in f"{chip.folder}{chip.key}":
        raise UnsupportedError(
            f"{name} can't have a TPM",
            why="swtpm would take a path with a comma for several options",
            hint="Use other names for the VM's folder and for the file of its key.",
        )
    await _check_version(name, chip)
    new_key = None if chip.key is None or chip.key.exists() else chip.key
    stage = Path(tempfile.mkdtemp(prefix=_MAKING, dir=chip.folder.parent))
    try:
        if new_key is not None:
            await whole_in_thread(_make_key, new_key)
        await _set_up(chip, stage)
    except BaseException:
        if new_key is not None:
            new_key.unlink(missing_ok=True)
        await asyncio.to_thread(shutil.rmtree, stage, ignore_errors=True)
        raise
    return stage / chip.state.name


def sweep(folder: Path) -> None:
    """Remove what a killed process left half-made in a VM's folder, whose lock is held."""
    for stage in folder.glob(f"{_MAKING}*"):
        shutil.rmtree(stage, ignore_errors=True)


def _put(made: Path, chip: Chip) -> None:
    chip.folder.mkdir(mode=0o700, exist_ok=True)
    made.chmod(0o600)
    made.rename(chip.state)
    flush_folder(chip.folder)


def _check_key(name: str, chip: Chip) -> None:
    encrypted = is_encrypted(chip.state)
    if encrypted and chip.key is None:
        why, hint = "its state is encrypted, and vm.toml names no key", "Name the key's file there."
    elif encrypted and chip.key is not None and not chip.key.exists():
        why, hint = f"its state is encrypted, and the key {chip.key} is gone", "Bring it back."
    elif encrypted is False and chip.key is not None:
        why = "its state is not encrypted, but vm.toml names a key: that is chosen once"
        hint = "Take the key out of vm.toml, or clear the TPM (disk keys sealed in it are lost)."
    else:
        return
    raise StateError(f"the TPM of {name} can't be used", why=why, hint=hint)


async def _check_version(name: str, chip: Chip) -> None:
    """Raise UnsupportedError if this swtpm makes no TPM of that version."""
    try:
        told = await run("swtpm_setup", "--print-capabilities", timeout_s=SETUP_TIMEOUT_S)
        features = msgspec.json.decode(told).get("features", ())
    except (msgspec.DecodeError, AttributeError, OperationError):
        return  # one too old to tell; it says itself what is wrong
    kinds = [feature for feature in features if str(feature).startswith("tpm-")]
    if kinds and f"tpm-{chip.version}" not in kinds:
        raise UnsupportedError(
            f"{name} can't have a TPM {chip.version}",
            why=f"this swtpm makes none, only {', '.join(kinds)}",
        )


def _make_key(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(path.parent, error) from error
    write_whole(path, secrets.token_hex(_KEY_BYTES).encode("ascii"))


async def _set_up(chip: Chip, stage: Path) -> None:
    """Keys, certificates and banks of a new TPM."""
    command = ["swtpm_setup", "--tpmstate", str(stage), "--not-overwrite"]
    if chip.version == "2.0":
        command += ["--tpm2", "--pcr-banks", "sha256"]
    if chip.key is not None:
        command += ["--keyfile", str(chip.key), "--cipher", CIPHER]
    config = await asyncio.to_thread(_authority, chip.authority) if chip.authority else None
    if config is not None:
        command += ["--create-ek-cert", "--create-platform-cert", "--config", str(config)]
    else:
        command += ["--createek"]
    making = asyncio.ensure_future(run(*command, timeout_s=SETUP_TIMEOUT_S))
    try:
        await asyncio.shield(making)
    except asyncio.CancelledError:
        # It takes a second at most. Killed, it would leave a swtpm and a file in /tmp.
        with suppress(VmtuiError):
            await making
        raise


def _authority(folder: Path) -> Path | None:
    """swtpm_setup's configuration with a certificate authority of this user; None: no certificates.

    The system's own is for root, who may make certificates for everyone.
    """
    tool = shutil.which("swtpm_localca")
    if tool is None or shutil.which("certtool") is None:
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(folder.parent, error) from error
    files = {
        "localca.options": (
            "--platform-manufacturer QEMU\n--platform-version 2.1\n--platform-model QEMU\n"
        ),
        "localca.conf": (
            f"statedir = {folder}\nsigningkey = {folder}/signkey.pem\n"
            f"issuercert = {folder}/issuercert.pem\ncertserial = {folder}/certserial\n"
        ),
        "setup.conf": (
            f"create_certs_tool = {tool}\ncreate_certs_tool_config = {folder}/localca.conf\n"
            f"create_certs_tool_options = {folder}/localca.options\nactive_pcr_banks = sha256\n"
        ),
    }
    for name, text in files.items():
        if not (folder / name).exists():
            write_whole(folder / name, text.encode())
    return folder / "setup.conf"
