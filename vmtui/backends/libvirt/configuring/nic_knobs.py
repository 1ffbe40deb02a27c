"""One network card in a domain's definition."""

from __future__ import annotations

import re

from vmtui.backends.libvirt.configuring.elements import (
    Element,
    give,
    got,
    have,
    made,
    put,
    take_out,
    take_out_if_bare,
)
from vmtui.backends.libvirt.configuring.knobs import Knob, whole, words
from vmtui.errors import InputError, UnsupportedError
from vmtui.hardware.values import Value
from vmtui.part_texts import network
from vmtui.parts import NetworkKind, NicSpec
from vmtui.units import KIB, whole_number

_AVERAGE_BYTES = 1000
"""A second, to libvirt's `average` of 1: it gives that to tc as `kbps`."""

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)


def connection(nic: Element) -> str:
    """What it is connected to, such as `user` or `network:default`."""
    kind = nic.get("type", "")
    if kind == NetworkKind.USER:
        return kind
    where = got(nic, "source", kind) or got(nic, "source", "dev") or got(nic, "source", "name")
    return f"{kind}:{where}" if where else kind


def network_of(text: str) -> NicSpec:
    """What is written. Raises InputError, or UnsupportedError for what libvirt has not."""
    try:
        wanted = network(text)
    except ValueError as error:
        raise InputError("its network can't be that", why=str(error)) from error
    if wanted.network is NetworkKind.ISOLATED:
        raise UnsupportedError(
            "libvirt's user mode can't be shut in",
            hint="Take its link down instead, or take a network of libvirt's that is isolated.",
        )
    kind = wanted.network.value
    if kind != NetworkKind.USER and not wanted.source:
        raise InputError(f"which {kind}?", hint=f"Write {kind}:NAME.")
    return wanted


def _write_network(nic: Element, value: Value) -> None:
    wanted = network_of(words(value))
    kind = wanted.network.value
    if nic.get("type") != kind:
        nic.set("type", kind)
        for tag in ("source", "portForward", "virtualport", "target"):
            for one in nic.findall(tag):
                take_out(one)
        backend = nic.find("backend")
        if backend is not None:
            give(backend, "type", None)
            take_out_if_bare(backend)
    if wanted.source and got(nic, "source", kind) != wanted.source:
        take_out(nic.find("source"))
        put(nic, made("source", {kind: wanted.source}))


def _strange(nic: Element) -> str:
    known = nic.get("type") in ("user", "network", "bridge")
    return "" if known else f"it is connected by {nic.get('type')}: edit the definition"


def _write_link(nic: Element, value: Value) -> None:
    link = nic.find("link")
    if value:
        take_out(link)
    else:
        have(nic, "link").set("state", "down")


def _write_mac(nic: Element, value: Value) -> None:
    mac = words(value).lower()
    if not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1:
        raise InputError(f"{value!r} is no address of a card", hint="Such as 52:54:00:12:34:56.")
    have(nic, "mac").set("address", mac)


def _write_model(nic: Element, value: Value) -> None:
    have(nic, "model").set("type", words(value))


def _read_rate(nic: Element) -> Value:
    both = {
        whole_number(got(nic, f"bandwidth/{way}", "average")) for way in ("inbound", "outbound")
    }
    found = both.pop() if len(both) == 1 else None
    # Up to whole KiB, which is what was asked for where it was asked for here.
    return -(-found * _AVERAGE_BYTES // KIB) * KIB if found else None


def _write_rate(nic: Element, value: Value) -> None:
    for way in ("inbound", "outbound"):
        if value is None:
            take_out(nic.find(f"bandwidth/{way}"))
        else:
            average = max(1, whole(value) // _AVERAGE_BYTES)
            have(nic, f"bandwidth/{way}").set("average", str(average))
    take_out_if_bare(nic.find("bandwidth"))


def _uneven(nic: Element) -> str:
    if nic.get("type") == NetworkKind.USER:
        return "libvirt limits no card in user mode"
    ways = [nic.find(f"bandwidth/{way}") for way in ("inbound", "outbound")]
    plain = all(way is None or set(way.attrib) == {"average"} for way in ways)
    even = len({way.get("average") if way is not None else None for way in ways}) == 1
    return "" if plain and even else "its limits differ or have bursts: edit the definition"


NIC_KNOBS = {
    "link": Knob(lambda nic: got(nic, "link", "state") != "down", _write_link),
    "network": Knob(connection, _write_network, _strange),
    "model": Knob(lambda nic: got(nic, "model", "type"), _write_model),
    "mac": Knob(lambda nic: got(nic, "mac", "address"), _write_mac),
    "rate": Knob(_read_rate, _write_rate, _uneven),
}
