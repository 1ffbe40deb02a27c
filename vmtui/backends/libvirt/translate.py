"""From libvirt's errors to vmtui's: what happened, why, and what to do next."""

from __future__ import annotations

import re

import libvirt

from vmtui.errors import (
    BusyError,
    InputError,
    NoSuchVMError,
    OperationError,
    RefusedError,
    StateError,
    UnreachableError,
    UnsupportedError,
    VmtuiError,
)

_LOST_CODES = frozenset(
    {
        libvirt.VIR_ERR_RPC,
        libvirt.VIR_ERR_NO_CONNECT,
        libvirt.VIR_ERR_INVALID_CONN,
        libvirt.VIR_ERR_NO_SERVER,
    }
)
_TRANSPORT_CODES = frozenset({libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_INTERNAL_ERROR})
_TRANSPORT_DOMAINS = frozenset({libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE})
_NETWORK_OFF = re.compile(r"network '(?P<name>[^']+)' is not active", re.IGNORECASE)
_OTHER_DAEMON = re.compile(r"[/ '](?P<name>virt(?!qemu)[a-z]+d)(?:-sock)?\b")
_BY_SSH = re.compile(r"[a-z]+\+ssh://(?P<there>[^/:]+)")
_SSH_FAILED = re.compile(r"Permission denied \(|Host key verification failed|ssh: ")
_DENIED = "Your user may not do that on this connection."
_BUSY = "Another operation on it is under way; try again after it."
_KINDS: dict[int, tuple[type[VmtuiError], str]] = {
    libvirt.VIR_ERR_NO_DOMAIN: (NoSuchVMError, ""),
    libvirt.VIR_ERR_OPERATION_INVALID: (StateError, ""),
    libvirt.VIR_ERR_OPERATION_TIMEOUT: (BusyError, _BUSY),
    libvirt.VIR_ERR_RESOURCE_BUSY: (BusyError, _BUSY),
    libvirt.VIR_ERR_OPERATION_DENIED: (RefusedError, _DENIED),
    libvirt.VIR_ERR_ACCESS_DENIED: (RefusedError, _DENIED),
    libvirt.VIR_ERR_NO_SUPPORT: (UnsupportedError, ""),
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: (UnsupportedError, ""),
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED: (UnsupportedError, ""),
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: (InputError, ""),
    libvirt.VIR_ERR_XML_ERROR: (InputError, ""),
    libvirt.VIR_ERR_XML_DETAIL: (InputError, ""),
    libvirt.VIR_ERR_XML_INVALID_SCHEMA: (InputError, ""),
    libvirt.VIR_ERR_DOM_EXIST: (InputError, ""),
    libvirt.VIR_ERR_STORAGE_VOL_EXIST: (InputError, ""),
}


def is_lost(error: libvirt.libvirtError, *, alive: bool = False) -> bool:
    """Whether the connection itself failed, not what was asked of it.

    `alive`: its socket still is, so that a transport that failed was one of the daemon's own, such
    as that to virtlogd.
    """
    code = error.get_error_code()
    in_transport = code in _TRANSPORT_CODES and error.get_error_domain() in _TRANSPORT_DOMAINS
    return code in _LOST_CODES or (in_transport and not alive)


def code(error: BaseException | None) -> int | None:
    """libvirt's number of an error, also of a translated one."""
    if isinstance(error, VmtuiError):
        error = error.__cause__
    return error.get_error_code() if isinstance(error, libvirt.libvirtError) else None


def reason(error: libvirt.libvirtError) -> str:
    """libvirt's message without the words that every message of its kind starts with."""
    text = error.get_error_message() or str(error)
    for prefix in ("internal error: ", "operation failed: ", "Requested operation is not valid: "):
        text = text.removeprefix(prefix)
    return text.strip()


def translated(
    error: libvirt.libvirtError, what: str, uri: str, *, alive: bool = False
) -> VmtuiError:
    """The error to raise instead, for someone who wanted to `what`; `alive` as in `is_lost`."""
    number = error.get_error_code()
    why = reason(error)
    if is_lost(error, alive=alive):
        return UnreachableError(f"the connection to {uri} is lost", why=why)
    if number in (libvirt.VIR_ERR_AUTH_FAILED, libvirt.VIR_ERR_AUTH_CANCELLED):
        return disconnected(error, uri)
    kind, hint = _KINDS.get(number or 0, (OperationError, ""))
    return kind(f"can't {what}", why=why, hint=hint or _next_step(why, uri))


def _next_step(why: str, uri: str) -> str:
    """What helps against some reasons that libvirt leaves at that."""
    if network := _NETWORK_OFF.search(why):
        return f"Start it: virsh -c {uri} net-start {network['name']}, or choose another network."
    if daemon := "connect" in why and _OTHER_DAEMON.search(why):
        return f"libvirt needs it on that host: systemctl start {daemon['name']}"
    return ""


def disconnected(error: libvirt.libvirtError, uri: str) -> VmtuiError:
    """The error of a connection that could not be opened."""
    why = reason(error)
    number = error.get_error_code()
    if number in (
        libvirt.VIR_ERR_AUTH_FAILED,
        libvirt.VIR_ERR_AUTH_CANCELLED,
        libvirt.VIR_ERR_AUTH_UNAVAILABLE,
        libvirt.VIR_ERR_OPERATION_DENIED,
    ):
        hint = "Your user needs access: be in the group libvirt, or check the host's settings."
    elif (host := _BY_SSH.match(uri)) and _SSH_FAILED.search(why):
        hint = f"ssh has to get there without a question. Try: ssh {host['there']} true"
    elif "Permission denied" in why:
        hint = "Your user needs access to libvirt's socket: be in the group libvirt."
    elif "Failed to connect socket" in why:
        hint = "Start the daemon: systemctl start libvirtd (or virtqemud)."
    elif number in (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_NO_CONNECT):
        hint = "Is the URI right? Such as qemu:///system or qemu+ssh://host/system."
    else:
        hint = "Check that the host is up and that libvirt's daemon runs on it."
    return UnreachableError(f"can't connect to {uri}", why=why, hint=hint)
