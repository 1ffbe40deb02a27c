"""What a recording is made of: moments of the fleet as raw samples, packed as differences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from vmtui.counters import Counters, HostCounters, Stalled
from vmtui.model import VM, Host, VMId
from vmtui.views import ConnectionStatus

T = TypeVar("T")

Packed = list[Any]
"""A skeleton (None: the same as before), then its numbers."""


class Began(msgspec.Struct, frozen=True, array_like=True):
    """The first frame of each part of a recording: whose it is, and when by both clocks.

    `connections` are URIs and labels.
    """

    session: str
    unix_s: float
    at_s: float
    connections: tuple[tuple[str, str], ...]


class Described(msgspec.Struct, frozen=True, array_like=True):
    """A connection and all its VMs, whenever anything about them is different."""

    uri: str
    label: str
    status: ConnectionStatus
    problem: tuple[str, str, str] | None  # what, why, hint
    host: Host | None
    vms: tuple[VM, ...]


class Sampled(msgspec.Struct, frozen=True, array_like=True):
    """What was new on one connection; a VM that stalled has the reason for it."""

    uri: str
    host: Packed | None
    vms: dict[VMId, Packed | str]


class Moment(msgspec.Struct, frozen=True, array_like=True):
    """All that was new at one time (monotonic)."""

    at_s: float
    described: tuple[Described, ...] = ()
    sampled: tuple[Sampled, ...] = ()


class Packer:
    """Packs samples one after the other; each of a VM or host refers to the one before it."""

    def __init__(self) -> None:
        self._differences = Differences()

    def host(self, uri: str, sample: HostCounters) -> Packed:
        """The figures of a host."""
        return self._differences.pack(uri, msgspec.to_builtins(sample))

    def vm(self, uri: str, vm: VMId, sample: Counters) -> Packed:
        """The figures of a VM."""
        return self._differences.pack((uri, vm), msgspec.to_builtins(sample))


class Unpacker:
    """Gives the samples back, in the order in which they were packed.

    `shift_s` is added to all their monotonic times.
    """

    def __init__(self, shift_s: float = 0.0) -> None:
        self._differences = Differences()
        self._shift_s = shift_s

    def sampled(
        self, frame: Sampled
    ) -> tuple[HostCounters | None, Mapping[VMId, Counters | Stalled]]:
        """The samples of one frame. Raises ValueError for what was not packed so."""
        host = None if frame.host is None else self._made(HostCounters, frame.uri, frame.host)
        return host, {
            vm: Stalled(packed)
            if isinstance(packed, str)
            else self._made(Counters, (frame.uri, vm), packed)
            for vm, packed in frame.vms.items()
        }

    def _made(self, kind: type[T], key: object, packed: Packed) -> T:
        tree = self._differences.unpack(key, packed)
        if self._shift_s:
            tree = _shifted(tree, self._shift_s)
        return msgspec.convert(tree, kind)


def _shifted(tree: Any, shift_s: float) -> Any:
    if isinstance(tree, dict):
        return {
            name: value + shift_s if _is_monotonic(name, value) else _shifted(value, shift_s)
            for name, value in tree.items()
        }
    return [_shifted(item, shift_s) for item in tree] if isinstance(tree, list | tuple) else tree


def _is_monotonic(name: str, value: object) -> bool:
    # GuestMemory.updated_at_s alone is Unix time.
    return name.endswith("at_s") and name != "updated_at_s" and value is not None


_BILLION = 1_000_000_000
_INT64 = range(-(2**63), 2**63)


class Differences:
    """Trees of plain values as skeleton and numbers, and the numbers as differences.

    Most figures of a VM stand still or move a little from second to second, so that most numbers
    become 0 or small. Times are read from the kernel as decimals: a float that is a whole number
    of billionths is counted in these, any other stays as it is. Nothing is rounded.
    """

    def __init__(self) -> None:
        self._skeletons: dict[object, tuple[bytes, Any]] = {}
        self._numbers: dict[object, list[int]] = {}

    def pack(self, key: object, tree: Any) -> Packed:
        """`tree`, packed against the last one of `key`."""
        numbers: list[int | float] = []
        skeleton = _bared(tree, numbers)
        shape = msgspec.msgpack.encode(skeleton)
        if self._skeletons.get(key, (b"", None))[0] == shape:
            packed: Packed = [None]
            before = self._numbers[key]
        else:
            packed = [skeleton]
            before = [0] * len(numbers)
            self._skeletons[key] = (shape, skeleton)
        for place, number in enumerate(numbers):
            if type(number) is int:
                packed.append(_wrapped(number - before[place]))
                before[place] = number
            else:
                packed.append(number)
        self._numbers[key] = before
        return packed

    def unpack(self, key: object, packed: Packed) -> Any:
        """The tree that was packed. Raises ValueError where the one before it is not known."""
        if packed[0] is not None:
            self._skeletons[key] = (b"", packed[0])
            self._numbers[key] = [0] * (len(packed) - 1)
        elif key not in self._skeletons or len(self._numbers[key]) != len(packed) - 1:
            raise ValueError("a difference to nothing")
        before = self._numbers[key]
        values: list[int | float] = []
        for place, number in enumerate(packed[1:]):
            if type(number) is not int:
                values.append(number)
                continue
            if number:
                before[place] = _wrapped(before[place] + number)
            values.append(before[place])
        return _filled(self._skeletons[key][1], iter(values))


def _wrapped(number: int) -> int:
    return (number + 2**63) % 2**64 - 2**63


def _bared(tree: Any, numbers: list[int | float]) -> Any:
    """`tree` with 0 for every int and 0.0 for every float, which go to `numbers`."""
    kind = type(tree)
    if kind is dict:
        return {name: _bared(value, numbers) for name, value in tree.items()}
    if kind is list or kind is tuple:
        return [_bared(item, numbers) for item in tree]
    if kind is int and tree in _INT64:
        numbers.append(tree)
        return 0
    if kind is float:
        numbers.append(_billionths(tree))
        return 0.0
    return tree


def _billionths(number: float) -> int | float:
    if not math.isfinite(number):
        return number
    count = round(number * _BILLION)
    return count if count in _INT64 and count / _BILLION == number else number


def _filled(skeleton: Any, values: Iterator[int | float]) -> Any:
    kind = type(skeleton)
    if kind is dict:
        return {name: _filled(value, values) for name, value in skeleton.items()}
    if kind is list:
        return [_filled(item, values) for item in skeleton]
    if kind is int and skeleton == 0:
        return next(values)
    if kind is float:
        value = next(values)
        return value / _BILLION if type(value) is int else value
    return skeleton
