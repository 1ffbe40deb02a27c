"""The last change of each VM, kept so that it can be undone: also by a later command."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from vmtui.errors import OperationError
from vmtui.files import not_writable, sweep, write_whole
from vmtui.hardware.changes import Assign, Attach, Change, DefinitionText, Detach, When
from vmtui.hardware.devices import HostDevice, NewConsole, NewDisk
from vmtui.parts import NicSpec, SharedFolder
from vmtui.views import VMRef
from vmtui.whole import whole_in_thread

_DEVICES: Mapping[str, type[Any]] = {
    "disk": NewDisk,
    "nic": NicSpec,
    "share": SharedFolder,
    "host": HostDevice,
    "console": NewConsole,
}


@dataclass(frozen=True, slots=True)
class Undo:
    """What brings back what was: changes, or for an edited definition the one before.

    `base` tells which stored definition the change led to; `done` is what it was, for people.
    """

    done: tuple[str, ...]
    when: When
    base: str
    changes: tuple[Change, ...] = ()
    before: DefinitionText | None = None


class Undos:
    """One for each VM: a file in the state folder, or in memory where VMs are only there."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or platformdirs.user_state_path("vmtui") / "undo"
        self._in_memory: dict[VMRef, Undo] = {}

    async def keep(self, ref: VMRef, undo: Undo) -> None:
        """In place of the one before. Raises OperationError."""
        if _lasts(ref):
            await whole_in_thread(_write, self._path(ref), undo)
        else:
            self._in_memory[ref] = undo

    async def last(self, ref: VMRef) -> Undo | None:
        """The last change, if it can be undone. Raises OperationError for a damaged file."""
        if _lasts(ref):
            return await asyncio.to_thread(_read, self._path(ref))
        return self._in_memory.get(ref)

    async def forget(self, ref: VMRef) -> None:
        """It can't be undone any more: the VM is gone."""
        self._in_memory.pop(ref, None)
        if _lasts(ref):
            await whole_in_thread(_remove, self._path(ref))

    def _path(self, ref: VMRef) -> Path:
        connection = hashlib.sha256(ref.uri.encode()).hexdigest()[:16]
        return self._folder / connection / f"{ref.id}.json"


def _lasts(ref: VMRef) -> bool:
    return not ref.uri.startswith("demo:")


def _write(path: Path, undo: Undo) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(path.parent, error) from error
    before = undo.before and msgspec.to_builtins(undo.before)
    content = {
        "done": undo.done,
        "when": undo.when,
        "base": undo.base,
        "changes": [_plain(change) for change in undo.changes],
        "before": before,
    }
    sweep(path)
    # Private to the user: a definition may have passwords in it.
    write_whole(path, msgspec.json.encode(content))


def _remove(path: Path) -> None:
    # What is left over is of a VM that is gone: it harms nobody.
    sweep(path)
    with suppress(OSError):
        path.unlink()


def _read(path: Path) -> Undo | None:
    try:
        content = msgspec.json.decode(path.read_bytes())
        return Undo(
            tuple(content["done"]),
            When(content["when"]),
            content["base"],
            tuple(_change(change) for change in content["changes"]),
            msgspec.convert(content["before"], DefinitionText | None),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperationError(f"{path} can't be read", why=str(error)) from error


def _plain(change: Change) -> dict[str, Any]:
    match change:
        case Assign():
            return {"assign": msgspec.to_builtins(change)}
        case Detach():
            return {"detach": change.part}
    kind = next(kind for kind, one in _DEVICES.items() if isinstance(change.device, one))
    return {"attach": kind, "device": msgspec.to_builtins(change.device, enc_hook=str)}


def _change(content: Mapping[str, Any]) -> Change:
    if "assign" in content:
        return msgspec.convert(content["assign"], Assign)
    if "detach" in content:
        return Detach(content["detach"])
    kind = _DEVICES[content["attach"]]
    return Attach(msgspec.convert(content["device"], kind, dec_hook=lambda to, text: to(text)))
