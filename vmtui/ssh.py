"""The ssh command that gets into a VM, or what is missing for one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from vmtui.errors import InputError, OperationError, StateError
from vmtui.model import VM

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?")
_OVER_SSH = ("ssh", "libssh", "libssh2")


def argv(vm: VM, uri: str, command: Sequence[str] = ()) -> list[str]:
    """ssh to `vm` of the connection `uri`; `command` is run there instead of a shell.

    Raises StateError when it is off, OperationError when there is no way to it.
    """
    if not vm.state.active:
        raise StateError(
            f"can't reach {vm.name} by ssh",
            why=f"it is {vm.state.value}",
            hint=f"Start it: vmtui start {vm.name}",
        )
    access = vm.ssh
    host = access.host or address(vm.addresses)
    if not host:
        raise _no_way(vm, uri)
    words = ["ssh"]
    if access.user:
        words += ["-l", checked_user(access.user)]
    if access.port != 22:
        words += ["-p", str(access.port)]
    if access.host:
        # Every VM has the same name here, but keys of its own.
        words += ["-o", f"HostKeyAlias=vmtui-{vm.id}"]
    elif jump := _jump(uri):
        words += ["-J", jump]
    return [*words, "--", host, *command]


def address(addresses: Sequence[str]) -> str:
    """The one that ssh best tries, IPv4 first; "" if there is none."""
    usable = []
    for text in addresses:
        try:
            found = ipaddress.ip_address(text)  # a guest tells them: they may be anything
        except ValueError:
            continue
        if not (found.is_loopback or found.is_link_local or found.is_unspecified):
            usable.append(found)
    usable.sort(key=lambda found: found.version)
    return str(usable[0]) if usable else ""


def checked_user(user: str) -> str:
    """`user` if it can be a user's name. Raises InputError."""
    if not _USER.fullmatch(user):
        raise InputError(f"{user!r} is not a user's name")
    return user


def _jump(uri: str) -> str:
    """The host of a remote connection: networks of its VMs often end there."""
    parts = urlsplit(uri)
    return parts.netloc if parts.scheme.rpartition("+")[2] in _OVER_SSH else ""


def _no_way(vm: VM, uri: str) -> OperationError:
    if not vm.nics:
        why, hint = "it has no network card", "Its console works without: vmtui console " + vm.name
    elif uri == "kvm:" and any(nic.network == "user" for nic in vm.nics):
        why = "its network is private, and no port is forwarded to it"
        hint = 'Give its nic forward = ["2222:22"] in its vm.toml, then start it anew.'
    else:
        why = "no address of it is known"
        hint = "Is it up? The guest agent in it, or a network of libvirt, tells its address."
    return OperationError(f"can't reach {vm.name} by ssh", why=why, hint=hint)
