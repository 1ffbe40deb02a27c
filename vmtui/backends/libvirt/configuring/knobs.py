"""What one setting is in a domain's definition: how it is read there, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vmtui.backends.libvirt.configuring.elements import Element, give, got, have, take_out_if_bare
from vmtui.hardware.values import Value
from vmtui.units import KIB


def _no_reason(_: Element) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Knob:
    """Of a domain, or of one of its disks or cards: `read` and `write` get the element.

    `stuck` says why it can't be set in this definition: what vmtui would have to throw away for it
    is somebody's work. `write` raises InputError for a value that can't be.
    """

    read: Callable[[Element], Value]
    write: Callable[[Element, Value], None]
    stuck: Callable[[Element], str] = _no_reason


def whole(value: Value) -> int:
    """A value that is a number."""
    assert isinstance(value, int)
    return int(value)


def words(value: Value) -> str:
    """A value that is text; nothing is empty."""
    return value if isinstance(value, str) else ""


def listed(value: Value) -> tuple[str, ...]:
    """A value that is a list."""
    return value if isinstance(value, tuple) else ()


def kib(value: Value) -> str:
    """A size as libvirt takes it; empty for none."""
    return str(whole(value) // KIB) if value is not None else ""


def switch(path: str, attribute: str, on: str = "on", off: str = "") -> Knob:
    """An attribute that is `on`, or `off`, or not there; what goes bare goes."""

    def write(root: Element, value: Value) -> None:
        text = on if value else off
        element = have(root, path) if text else root.find(path)
        if element is not None:
            give(element, attribute, text)
            take_out_if_bare(element)

    return Knob(lambda root: got(root, path, attribute) == on, write)


def text_attribute(path: str, attribute: str) -> Knob:
    """An attribute that is any text."""

    def write(root: Element, value: Value) -> None:
        element = have(root, path) if value else root.find(path)
        if element is not None:
            give(element, attribute, words(value))
            take_out_if_bare(element)

    return Knob(lambda root: got(root, path, attribute), write)


def ranges(cpus: Iterable[int]) -> str:
    """Numbers as libvirt writes sets of CPUs, such as `0-3,8`."""
    parts: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if parts and parts[-1][1] == cpu - 1:
            parts[-1][1] = cpu
        else:
            parts.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
