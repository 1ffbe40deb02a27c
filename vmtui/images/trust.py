"""Which sum an image has to have, and who says so: lists of checksums and their signatures."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vmtui.command import run
from vmtui.errors import OperationError
from vmtui.images.catalogue import Origin
from vmtui.images.checksums import published
from vmtui.images.download import Downloads

GPGV_TIMEOUT_S = 30.0

_ARMOUR = re.compile(
    rb"-----BEGIN PGP [^\n]*\n(?:[^\n]+\n)*?\s*\n(.*?)(?:\n=[^\n]*)?\n-----END", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Expected:
    """The sum that a file has to have; `because` says in words how it is known."""

    sum: str
    because: str


async def expected(origin: Origin, downloads: Downloads) -> Expected:
    """What the publisher says; signed, where that can be checked here.

    Raises OperationError for a signature that is not good, or a list without the file.
    """
    algorithm = origin.algorithm.upper().replace("SHA", "SHA-")
    if origin.sum:
        return Expected(origin.sum, f"{algorithm} of the catalogue")
    listing = await downloads.text(origin.checksums_url)
    signed = "signature not checked: the catalogue names none"
    if origin.signed_inside or origin.signature_url:
        listing, signed = await _checked(origin, listing, downloads)
    found = published(listing.decode(errors="replace"), origin.file_name, origin.algorithm)
    if found is None:
        raise OperationError(
            f"{origin.url} can't be verified",
            why=f"{origin.checksums_url} has no {algorithm} of {origin.file_name}",
            hint="Is there a newer image? An entry of your own in images.toml can name it.",
        )
    return Expected(found, f"{algorithm} of the publisher, {signed}")


async def _checked(origin: Origin, listing: bytes, downloads: Downloads) -> tuple[bytes, str]:
    """What is signed of `listing`, and what to tell of it."""
    keyring = await asyncio.to_thread(_first, origin.keyrings)
    if keyring is None:
        names = " nor ".join(str(path) for path in origin.keyrings)
        return listing, f"signature not checked: {names} is not on this machine"
    if shutil.which("gpgv") is None:
        return listing, "signature not checked: gpgv is not installed"
    signature = b"" if origin.signed_inside else await downloads.text(origin.signature_url)
    with tempfile.TemporaryDirectory(prefix="vmtui-") as name:
        folder = Path(name)
        await asyncio.to_thread(_lay_out, folder, listing, signature, keyring)
        argv = ["gpgv", "--quiet", "--keyring", str(folder / "keyring")]
        files = ["list"] if origin.signed_inside else ["signature", "list"]
        # Of a list that is signed inside, only what the signature is of comes out again.
        output = ["--output", str(folder / "signed")] if origin.signed_inside else []
        try:
            await run(
                *argv, *output, *(str(folder / file) for file in files), timeout_s=GPGV_TIMEOUT_S
            )
        except OperationError as error:
            raise OperationError(
                f"the signature of {origin.checksums_url} is not good",
                why=error.why,
                hint=f"If the project has a new key: is the package with {keyring} up to date?",
            ) from error
        if origin.signed_inside:
            listing = await asyncio.to_thread((folder / "signed").read_bytes)
    return listing, f"signed with a key of {keyring}"


def _first(keyrings: tuple[Path, ...]) -> Path | None:
    return next((path for path in keyrings if path.is_file()), None)


def _lay_out(folder: Path, listing: bytes, signature: bytes, keyring: Path) -> None:
    (folder / "list").write_bytes(listing)
    (folder / "signature").write_bytes(signature)
    keys = keyring.read_bytes()
    # gpgv takes no keyrings in ASCII, which is how many packages have them.
    blocks = _ARMOUR.findall(keys) if keys.startswith(b"-----BEGIN PGP") else []
    binary = b"".join(base64.b64decode(block) for block in blocks)
    (folder / "keyring").write_bytes(binary or keys)
