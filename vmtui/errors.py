"""Every error that vmtui raises on purpose: what happened, why, and what to do next.

VmtuiError
├── InputError          what was asked for makes no sense            exit 1
│   └── UsageError      the command line itself                      exit 2
├── ConfigError         the configuration file                       exit 1
├── NoSuchVMError       no VM of that name                           exit 3
├── AmbiguousVMError    several VMs of that name                     exit 3
├── RefusedError        read-only, protected, not confirmed          exit 4
├── StateError          the VM's state does not allow it             exit 1
├── BusyError           somebody else is changing it or holds it     exit 1
├── MissingError        a program or library is not installed        exit 1
├── UnsupportedError    this connection cannot do that               exit 1
├── UnreachableError    the connection is down or does not answer    exit 1
└── OperationError      the hypervisor tried and failed              exit 1
"""

from __future__ import annotations

from collections.abc import Sequence

from vmtui.units import plain

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_SUCH_VM = 3
EXIT_REFUSED = 4


class VmtuiError(Exception):
    """What happened (`what`), the reason (`why`) and the next step (`hint`), as plain text."""

    exit_status = EXIT_FAILED

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        self.what = plain(what)
        self.why = plain(why, keep_lines=True)
        self.hint = plain(hint, keep_lines=True)
        super().__init__(self.what)

    def __str__(self) -> str:
        """One paragraph: what, why, next step."""
        text = self.what
        if self.why:
            text += f": {self.why}"
        if self.hint:
            text += f"\n{self.hint}"
        return text


class InputError(VmtuiError):
    """What was asked for makes no sense."""


class UsageError(InputError):
    """The command line itself is wrong."""

    exit_status = EXIT_USAGE


class ConfigError(VmtuiError):
    """A file of the user's configuration cannot be used."""


class NoSuchVMError(VmtuiError):
    """No VM of that name is known."""

    exit_status = EXIT_NO_SUCH_VM

    @classmethod
    def named(cls, name: str, known: Sequence[str] = ()) -> NoSuchVMError:
        """For `name`, with up to a few of the names that do exist in the hint."""
        shown = ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
        return cls(
            f"there is no VM named {name!r}",
            hint=f"There is: {shown}." if known else "There are no VMs yet: vmtui create NAME.",
        )


class AmbiguousVMError(VmtuiError):
    """Several connections have a VM of that name."""

    exit_status = EXIT_NO_SUCH_VM


class RefusedError(VmtuiError):
    """Read-only, protected, or not confirmed."""

    exit_status = EXIT_REFUSED


class StateError(VmtuiError):
    """The state that the VM is in does not allow it."""


class BusyError(VmtuiError):
    """Somebody else is changing the VM, or holds what was asked for."""


class MissingError(VmtuiError):
    """A program, library or file that the machine should have is not installed."""


class UnsupportedError(VmtuiError):
    """This connection cannot do that."""


class UnreachableError(VmtuiError):
    """The connection is down, or it did not answer in time."""


class OperationError(VmtuiError):
    """The hypervisor tried, and failed."""


def read_only(what: str) -> RefusedError:
    """The one refusal of every change under `--read-only`."""
    return RefusedError(
        f"{what} is refused",
        why="this connection is read-only",
        hint="Leave out --read-only (or read_only in the configuration) to allow changes.",
    )
