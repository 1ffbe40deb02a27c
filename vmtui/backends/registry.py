"""From a connection's URI to its backend, importing only the one that is asked for."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from vmtui.backends.abilities import TRASH_DAYS
from vmtui.backends.base import Backend, Endpoint
from vmtui.errors import InputError, MissingError
from vmtui.shelf import Shelf

LIBVIRT_SOCKETS = ("/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock")

LIBVIRT_MISSING = (
    "libvirt-python is not installed",
    "libvirt connections are not available; VMs run directly on QEMU",
    "pip install 'vmtui[libvirt]' (needs libvirt's headers: libvirt-dev, libvirt-devel, libvirt)",
)
"""What is missing, what it costs, and what mends it."""


def libvirt_installed() -> bool:
    """Whether libvirt-python can be imported, without importing it."""
    return importlib.util.find_spec("libvirt") is not None


def default_uris() -> list[str]:
    """`kvm:`, and libvirt where LIBVIRT_DEFAULT_URI or a daemon's socket says it is in use."""
    uris = ["kvm:"]
    chosen = os.environ.get("LIBVIRT_DEFAULT_URI")
    if chosen:
        uris.append(chosen)
    elif libvirt_installed() and any(Path(socket).exists() for socket in LIBVIRT_SOCKETS):
        uris.append("qemu:///system")
    return uris


def backend_for(uri: str, *, read_only: bool = False, trash_days: float = TRASH_DAYS) -> Backend:
    """An unopened backend. Raises InputError for a URI that nothing understands, MissingError."""
    scheme = uri.partition(":")[0]
    if scheme == "demo":
        from vmtui.backends.demo import DemoBackend  # noqa: PLC0415

        return DemoBackend(uri, read_only=read_only)
    if uri in ("kvm", "kvm:"):
        from vmtui.backends.kvm.backend import KvmBackend  # noqa: PLC0415

        return KvmBackend(read_only=read_only, trash_days=trash_days)
    if not uri.strip() or any(character.isspace() for character in uri):
        raise InputError(f"{uri!r} is not a connection", hint="Try kvm: or qemu:///system.")
    if not libvirt_installed():
        what, why, hint = LIBVIRT_MISSING
        raise MissingError(what, why=why, hint=hint)
    from vmtui.backends.libvirt.backend import LibvirtBackend  # noqa: PLC0415

    # libvirt itself knows what it accepts, uri_aliases of its configuration included.
    return LibvirtBackend(uri, read_only=read_only)


def endpoints(
    uris: Sequence[str], *, read_only: bool = False, trash_days: float = TRASH_DAYS
) -> list[Endpoint]:
    """A backend for each URI, in order, each once. Raises as `backend_for`."""
    return [
        Endpoint(backend_for(uri, read_only=read_only, trash_days=trash_days), label(uri))
        for uri in dict.fromkeys(uris)
    ]


def usable_endpoints(
    uris: Sequence[str], *, read_only: bool = False, trash_days: float = TRASH_DAYS
) -> tuple[list[Endpoint], list[str]]:
    """As `endpoints`, and what of them is missing: a library costs its connections, not the others.

    Raises MissingError where nothing is left, and InputError.
    """
    usable: list[Endpoint] = []
    notices: list[str] = []
    missing: MissingError | None = None
    for uri in dict.fromkeys(uris):
        try:
            usable += endpoints([uri], read_only=read_only, trash_days=trash_days)
        except MissingError as error:
            missing = error
            notices.append(error.what)
    if missing is not None and not usable:
        raise missing
    return usable, notices


def shelf_for(uris: Sequence[str]) -> Shelf:
    """Where VMs of these connections get their images from; those of the demo are not real."""
    if uris and all(uri.startswith("demo:") for uri in uris):
        from vmtui.backends.demo_shelf import DemoShelf  # noqa: PLC0415

        return DemoShelf()
    from vmtui.library_shelf import LibraryShelf  # noqa: PLC0415

    return LibraryShelf()


def label(uri: str) -> str:
    """The name of a connection in lists: the URI as users type it."""
    return {"kvm:": "kvm", "demo:": "demo"}.get(uri, uri)
