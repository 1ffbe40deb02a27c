"""Ports of this machine that lead into VMs: found free, kept, and found anew when taken."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection
from contextlib import closing
from dataclasses import replace

import msgspec

from vmtui.backends.kvm.hardware import NicDefinition, forward_text
from vmtui.errors import OperationError
from vmtui.parts import Forward

CHOICE = range(22000, 30000)
"""Below the ports that the kernel gives to connections which go out."""

TRIES = 200


def is_free(address: str, port: int) -> bool:
    """Whether a listener could have it, as QEMU asks for it."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def find(address: str, taken: Collection[int]) -> int:
    """A free port that is not one of `taken`, those of VMs that are off. Raises OperationError."""
    for port in random.SystemRandom().sample(CHOICE, TRIES):
        if port not in taken and is_free(address, port):
            return port
    raise OperationError(
        "no port of this machine is free", why=f"{TRIES} of {CHOICE} were tried at {address}"
    )


def forwarded(nic: NicDefinition, forwards: Collection[Forward], taken: set[int]) -> NicDefinition:
    """`nic` with these forwards; those from port 0 get a free one, which is added to `taken`."""
    settled = []
    for forward in forwards:
        port = forward.host_port or find(forward.host_address, taken)
        taken.add(port)
        settled.append(replace(forward, host_port=port))
    return msgspec.structs.replace(
        nic,
        forward=tuple(forward_text(forward) for forward in settled),
        found=tuple(forward.guest_port for forward in forwards if not forward.host_port),
    )


def moved(name: str, nic: NicDefinition, taken: set[int]) -> tuple[NicDefinition, list[str]]:
    """`nic` with other ports for those that were found and are taken now; what was changed.

    Raises OperationError where one is taken that somebody asked for.
    """
    wanted, told = [], []
    for forward in nic.forwards:
        if is_free(forward.host_address, forward.host_port):
            wanted.append(forward)
            continue
        if forward.guest_port not in nic.found:
            raise OperationError(
                f"{name} can't be started",
                why=f"port {forward.host_port} of this machine, which leads to its port "
                f"{forward.guest_port}, is taken by another program",
                hint="End that, or give the VM another port: forward in vm.toml.",
            )
        port = find(forward.host_address, taken)
        taken.add(port)
        told.append(f"port {forward.host_port} is taken: {forward.guest_port} is at {port} now")
        wanted.append(replace(forward, host_port=port))
    texts = tuple(forward_text(forward) for forward in wanted)
    return msgspec.structs.replace(nic, forward=texts), told
