"""The arguments of `balance`."""

from __future__ import annotations

from vmtui.arguments.creating import Add


def add_arguments(add: Add) -> None:
    """Declare the command."""
    balance = add(
        "balance",
        "Move memory between the VMs that have automatic balance on, until interrupted.",
        json=True,
    )
    balance.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and ask no guest for it"
    )
    balance.add_argument(
        "--interval",
        type=float,
        metavar="S",
        help="seconds between two samples (default: interval_s of the configuration)",
    )
