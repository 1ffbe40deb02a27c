"""What QEMU's answers have to look like to be gone by: a QEMU may be another, or taken over.

Protocol: QEMU's QMP reference. Only what vmtui reads is said here; there is more in an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

_Thread = TypedDict("_Thread", {"thread-id": Count})
_Cpu = TypedDict("_Cpu", {"cpu-index": Count, "thread-id": Count})
_GuestStats = TypedDict("_GuestStats", {"last-update": Count, "stats": dict[str, int]})
_Slot = TypedDict("_Slot", {"qom-path": NotRequired[str], "type": str, "props": dict[str, Any]})


class _Named(TypedDict):
    name: str


class _Status(TypedDict):
    status: str


class _Balloon(TypedDict):
    actual: Count


class _Written(TypedDict):
    wr_highest_offset: NotRequired[Count]


class _Parent(TypedDict):
    stats: NotRequired[_Written]


class _Requests(TypedDict):
    rd_operations: Count
    rd_bytes: Count
    rd_total_time_ns: Count
    wr_operations: Count
    wr_bytes: Count
    wr_total_time_ns: Count
    flush_operations: Count
    flush_total_time_ns: Count


_Block = TypedDict(
    "_Block", {"node-name": NotRequired[str], "stats": _Requests, "parent": NotRequired[_Parent]}
)


class _Kind(TypedDict):
    name: str
    type: str


class _Schema(TypedDict):
    target: str
    stats: list[_Kind]


class _Value(TypedDict):
    name: str
    value: Count


class _Values(TypedDict):
    stats: list[_Value]


class _Statuses(TypedDict):
    statuses: NotRequired[list[Any]]


class _Virtio(TypedDict):
    status: NotRequired[_Statuses]


_ANSWERS: Mapping[str, Any] = {
    "query-status": _Status,
    "query-blockstats": list[_Block],
    "query-cpus-fast": list[_Cpu],
    "query-iothreads": list[_Thread],
    "query-balloon": _Balloon,
    "query-stats-schemas": list[_Schema],
    "query-stats": list[_Values],
    "query-hotpluggable-cpus": list[_Slot],
    "query-commands": list[_Named],
    "qom-list": list[_Named],
    "x-query-virtio-status": _Virtio,
}
_PROPERTIES: Mapping[object, Any] = {
    "guest-stats": _GuestStats,
    "guest-stats-polling-interval": Count,
    "size": Count,
}


def why_not(command: str, arguments: Mapping[str, object] | None, answer: object) -> str:
    """Why nothing can be made of an answer; "" where it is as it should be."""
    form = _ANSWERS.get(command, Any)
    if command == "qom-get":
        form = _PROPERTIES.get((arguments or {}).get("property"), Any)
    try:
        msgspec.convert(answer, form)
    except msgspec.ValidationError as error:
        return str(error)
    return ""
