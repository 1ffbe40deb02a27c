"""Arguments of `ssh`, `cp` and `wait`."""

from __future__ import annotations

import argparse

from vmtui.arguments.creating import Add


def add_arguments(add: Add) -> None:
    """All three."""
    ssh = add("ssh", "Open ssh to a VM.")
    ssh.add_argument("name", metavar="NAME")
    ssh.add_argument(
        "remote", metavar="COMMAND", nargs=argparse.REMAINDER, help="to run instead of a shell"
    )
    cp = add("cp", "Copy a file to or from a VM, by scp.")
    for place in ("source", "target"):
        cp.add_argument(place, metavar=place.upper(), help="PATH here, or NAME:PATH in a VM")
    cp.add_argument("-r", "--recursive", action="store_true", help="folders, with all in them")
    wait = add("wait", "Wait until a VM can be used, or is off; says how long it took.", json=True)
    wait.add_argument("name", metavar="NAME")
    wait.add_argument(
        "--for",
        dest="what",
        choices=("ssh", "login", "agent", "off"),
        default="ssh",
        help="its ssh server answers, its console shows a login prompt, its guest agent answers, "
        "or it is off (default: %(default)s)",
    )
    wait.add_argument(
        "--timeout", type=float, default=300.0, metavar="S", help="(default: %(default).0f)"
    )
