"""The actions on what VMs are made of: their keys and words."""

from __future__ import annotations

from vmtui.actions.action import Action
from vmtui.backends.base import Feature
from vmtui.model import ACTIVE_STATES

# Those that show something first are not refused where nothing may be changed: what they change
# is planned and refused then.
CONFIGURING: tuple[Action, ...] = (
    Action(
        "hardware",
        "hardware",
        "m",
        "What it is made of, now and at next boot: change it.",
        needs=Feature.CONFIGURE,
        changes=False,
    ),
    Action(
        "memory",
        "memory",
        "b",
        "Take memory from its guest by the balloon, or give it back.",
        states=ACTIVE_STATES,
        needs=Feature.BALLOON,
        changes=False,
    ),
    Action(
        "tpm",
        "TPM",
        "t",
        "Its TPM: add, remove, back up, restore, clear.",
        needs=Feature.CONFIGURE | Feature.TPM,
        changes=False,
    ),
    Action(
        "edit",
        "edit",
        "e",
        "Edit its definition in your own editor.",
        needs=Feature.CONFIGURE,
    ),
)
"""Those that are wanted most."""

MORE_CONFIGURING: tuple[Action, ...] = (
    Action(
        "undo",
        "undo",
        "U",
        "Undo the last change of it.",
        needs=Feature.CONFIGURE,
        footer=False,
    ),
    Action(
        "firmware",
        "firmware",
        "f",
        "Firmware, Secure Boot, variables, what it boots from.",
        needs=Feature.CONFIGURE,
        changes=False,
        footer=False,
    ),
    Action(
        "cpus",
        "CPUs",
        "K",
        "Its share of the host's CPUs, and where on them it runs.",
        needs=Feature.CONFIGURE,
        changes=False,
        footer=False,
    ),
    Action(
        "balance",
        "balance",
        "A",
        "Automatic balance of its memory, on or off.",
        needs=Feature.CONFIGURE | Feature.BALLOON,
        footer=False,
    ),
    Action(
        "isolation",
        "isolation",
        "B",
        "What keeps it from all else, and what would tighten that.",
        changes=False,
        footer=False,
    ),
    Action(
        "restrict",
        "restrict",
        "Q",
        "No network, no sharing, no merging, in one plan.",
        needs=Feature.CONFIGURE,
        footer=False,
    ),
    Action(
        "protect",
        "protect",
        "L",
        "Refuse to delete it or to force it off; again: allow it.",
        needs=Feature.CONFIGURE,
        footer=False,
    ),
)
