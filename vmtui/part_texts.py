"""How parts of a new VM are written in one line: in files, on the command line and in the form."""

from __future__ import annotations

import re

from vmtui.files import at_home
from vmtui.parts import DiskBus, DiskSpec, Forward, NetworkKind, NicSpec, SharedFolder, Topology
from vmtui.units import parse_size_bytes, plain

_FORWARD = re.compile(r"(?:(?:(?P<address>[0-9.]+):)?(?P<here>\d{1,5}):)?(?P<there>\d{1,5})")
_TOPOLOGY = re.compile(r"(\d{1,3})\s*[x×,]\s*(\d{1,3})\s*[x×,]\s*(\d{1,3})")


def forward(text: str) -> Forward:
    """`22`, `2222:22` or `0.0.0.0:2222:22`. Raises ValueError with the reason."""
    match = _FORWARD.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{plain(text)!r} is not a guest's port, such as 22, or both: 2222:22")
    address, here, there = match.group("address", "here", "there")
    if address is None:
        return Forward(int(there), int(here or 0))
    return Forward(int(there), int(here), address)


def network(text: str) -> NicSpec:
    """`user`, `isolated`, `network:NAME` or `bridge:NAME`. Raises ValueError with the reason."""
    kind, _, source = text.strip().partition(":")
    try:
        return NicSpec(NetworkKind(kind), source)
    except ValueError:
        raise ValueError(
            f"{plain(text)!r} is not a network: user, isolated, network:NAME, bridge:NAME or none"
        ) from None


def disk(text: str) -> DiskSpec:
    """`10G`, with `,bus=scsi`, `,cache=none` or `,discard=off`. Raises ValueError."""
    size, *settings = text.strip().split(",")
    found = DiskSpec(parse_size_bytes(size))
    bus, cache, discard = found.bus, found.cache, found.discard
    for setting in settings:
        match setting.partition("="):
            case ("bus", _, value) if value in tuple(DiskBus):
                bus = DiskBus(value)
            case ("cache", _, value):
                cache = value
            case ("discard", _, ("on" | "off") as value):
                discard = value == "on"
            case _:
                buses = ", ".join(DiskBus)
                raise ValueError(
                    f"{plain(setting)!r} is not a disk's: bus= ({buses}), cache=, discard=on or off"
                )
    return DiskSpec(found.size_bytes, bus, cache, discard)


def share(text: str) -> SharedFolder:
    """`PATH`, `PATH:TAG`, with `,ro` and `,virtiofs` or `,9p`. Raises ValueError."""
    place, *settings = text.strip().split(",")
    name, colon, tag = place.rpartition(":")
    path = at_home(name if colon else place).absolute()
    read_only, protocol = False, "auto"
    for setting in settings:
        if setting == "ro":
            read_only = True
        elif setting in ("virtiofs", "9p"):
            protocol = setting
        else:
            raise ValueError(f"{plain(setting)!r} is not a shared folder's: ro, virtiofs or 9p")
    return SharedFolder(path, tag if colon else path.name, read_only, protocol)


def topology(text: str) -> Topology:
    """`1x4x2`: sockets, cores and threads. Raises ValueError with the reason."""
    match = _TOPOLOGY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{plain(text)!r} is not sockets x cores x threads, such as 1x4x2")
    return Topology(*map(int, match.groups()))
