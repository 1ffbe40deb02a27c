"""The ssh and scp commands that get into a VM, or what is missing for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from vmtui.backends.addresses import usable
from vmtui.errors import InputError, OperationError, StateError
from vmtui.model import VM, VMId

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?")
_OVER_SSH = ("ssh", "libssh", "libssh2")


def argv(vm: VM, uri: str, command: Sequence[str] = ()) -> list[str]:
    """ssh to `vm` of the connection `uri`; `command` is run there instead of a shell.

    Raises StateError when it is off, OperationError when there is no way to it.
    """
    host, _ = endpoint(vm, uri)
    return ["ssh", *_options(vm, uri), "--", host, *command]


def copying(
    vm: VM, uri: str, source: str, target: str, *, to_guest: bool, recursive: bool
) -> list[str]:
    """scp from a path here to one in `vm`, or with `to_guest` False the other way round.

    Raises as `argv`.
    """
    host, _ = endpoint(vm, uri)
    guest = f"[{host}]:" if ":" in host else f"{host}:"
    places = (source, guest + target) if to_guest else (guest + source, target)
    return ["scp", *(["-r"] if recursive else []), *_options(vm, uri), "--", *places]


def endpoint(vm: VM, uri: str) -> tuple[str, int]:
    """The address and port that the VM's ssh server answers on. Raises as `argv`."""
    if not vm.state.active:
        raise StateError(
            f"can't reach {vm.name} by ssh",
            why=f"it is {vm.state.value}",
            hint=f"Start it: vmtui start {vm.name}",
        )
    host = vm.ssh.host or address(vm.addresses)
    if not host:
        raise _no_way(vm, uri)
    return host, vm.ssh.port


async def keep_known_hosts() -> None:
    """Make the folder that ssh notes the VMs' own keys in; it makes none by itself."""
    await asyncio.to_thread(_known_hosts().mkdir, mode=0o700, parents=True, exist_ok=True)


async def forget_known_host(vm: VMId) -> None:
    """Remove what ssh noted of a VM that is gone; what can't be removed does no harm."""
    with suppress(OSError):
        await asyncio.to_thread(known_host(vm).unlink, missing_ok=True)


def _known_hosts() -> Path:
    return platformdirs.user_data_path("vmtui") / "known_hosts"


def known_host(vm: VMId) -> Path:
    """The file in which ssh notes the keys of one VM."""
    return _known_hosts() / re.sub(r"[^\w-]", "_", vm)


def _options(vm: VM, uri: str) -> list[str]:
    """What ssh and scp are told alike: both know these only by the long names."""
    access = vm.ssh
    # VMs share addresses and ports, one after the other or, forwarded, all at once; each has keys
    # of its own. So they are noted by VM, apart from the user's, and a first key is taken as it is.
    noted = "/dev/null" if vm.throwaway else str(known_host(vm.id))
    settings = [
        f"HostKeyAlias=vmtui-{vm.id}",
        f'UserKnownHostsFile="{noted.replace("%", "%%")}"',
        "StrictHostKeyChecking=accept-new",
    ]
    if vm.throwaway:
        settings.append("LogLevel=ERROR")
    if access.user:
        settings.append(f"User={checked_user(access.user)}")
    if access.port != 22:
        settings.append(f"Port={access.port}")
    if not access.host and (jump := remote_host(uri)):
        settings.append(f"ProxyJump={jump}")
    return [word for setting in settings for word in ("-o", setting)]


def address(addresses: Sequence[str]) -> str:
    """The one that ssh best tries, IPv4 first; "" if there is none."""
    return min(usable(addresses), key=lambda text: ":" in text, default="")


def checked_user(user: str) -> str:
    """`user` if it can be a user's name. Raises InputError."""
    if not _USER.fullmatch(user):
        raise InputError(f"{user!r} is not a user's name")
    return user


def remote_host(uri: str) -> str:
    """The host of a connection over ssh, "" for others: networks of its VMs often end there."""
    parts = urlsplit(uri)
    return parts.netloc if parts.scheme.rpartition("+")[2] in _OVER_SSH else ""


def may_find_a_way(vm: VM, uri: str) -> bool:
    """Whether it has no address yet, and one may come: who knows it can be slow to tell."""
    known = vm.ssh.host or address(vm.addresses)
    return vm.state.active and bool(vm.nics) and not known and not _is_private(vm, uri)


def _is_private(vm: VM, uri: str) -> bool:
    return uri == "kvm:" and all(nic.network in ("user", "isolated") for nic in vm.nics)


def _no_way(vm: VM, uri: str) -> OperationError:
    if not vm.nics:
        why, hint = "it has no network card", "Its console works without: vmtui console " + vm.name
    elif _is_private(vm, uri):
        why = "its network is private, and no port is forwarded to it"
        hint = 'Give its nic forward = ["2222:22"] in its vm.toml, then start it anew.'
    else:
        why = "no address of it is known"
        hint = (
            "Is it up? The guest agent in it, a network of libvirt, or what it sends to its host "
            "tells its address."
        )
    return OperationError(f"can't reach {vm.name} by ssh", why=why, hint=hint)
