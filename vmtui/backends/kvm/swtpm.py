"""The software TPM of a direct VM: its state made once, its process beside QEMU's."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from vmtui.backends.kvm.argv import Place
from vmtui.backends.kvm.process import Process
from vmtui.command import missing, run
from vmtui.errors import MissingError, OperationError, VmtuiError

STATE = "tpm"
SETUP_TIMEOUT_S = 60.0
READY_TIMEOUT_S = 5.0


async def set_up(folder: Path) -> None:
    """Make the TPM's state in a new VM's folder: keys and banks. Raises MissingError."""
    state = folder / STATE
    state.mkdir(mode=0o700)
    making = asyncio.ensure_future(
        run(
            *("swtpm_setup", "--tpm2", "--tpmstate", str(state)),
            *("--createek", "--pcr-banks", "sha256", "--not-overwrite"),
            timeout_s=SETUP_TIMEOUT_S,
        )
    )
    try:
        await asyncio.shield(making)
    except asyncio.CancelledError:
        # It takes a second at most. Killed, it would leave a swtpm and a file in /tmp.
        with suppress(VmtuiError):
            await making
        raise


async def start(name: str, place: Place) -> Process:
    """Run swtpm for the VM; it ends by itself when QEMU does."""
    place.tpm.unlink(missing_ok=True)
    log = place.runtime / "swtpm.log"
    try:
        process = Process.start(
            [
                *("swtpm", "socket", "--tpm2", "--terminate"),
                *("--tpmstate", f"dir={place.folder / STATE},mode=0600"),
                *("--ctrl", f"type=unixio,path={place.tpm},mode=0600"),
                *("--log", f"file={log},level=1"),
            ],
            log=log,
        )
    except MissingError as error:
        raise missing("swtpm") from error
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while process.alive and not place.tpm.exists():
                await asyncio.sleep(0.01)
    except TimeoutError:
        process.kill()
    if not place.tpm.exists():
        said = log.read_text("utf-8", "replace")[-2000:] if log.exists() else ""
        raise OperationError(f"the TPM of {name} did not start", why=said.strip())
    return process
