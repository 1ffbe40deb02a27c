"""What commands say while they work and when they fail, and how they describe a VM."""

from __future__ import annotations

import shutil
import sys
from typing import Any

import msgspec

from vmtui.backends.base import Progress
from vmtui.errors import VmtuiError
from vmtui.model import VM
from vmtui.opening import complain
from vmtui.units import plain


def failed(error: VmtuiError) -> int:
    """Tell the error; gives the exit status that it means."""
    complain(error)
    return error.exit_status


def on_terminal(progress: Progress) -> None:
    """A sink that shows how far it is on one line, where someone may look."""
    if sys.stderr.isatty():
        # A line that wraps could not be taken away again.
        text = plain(progress.text)[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def clear_progress() -> None:
    """Take that line away."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def facts_of(connection: str, vm: VM) -> dict[str, Any]:
    """All that is known of a VM, as plain types."""
    facts = msgspec.to_builtins(vm)
    facts["uuid"] = vm.uuid
    return {"name": facts.pop("name"), "connection": connection, **facts}
