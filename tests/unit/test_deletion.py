"""What a deletion is said to come to."""

from __future__ import annotations

from dataclasses import replace

from vmtui.backends.base import DeletePlan, Doomed
from vmtui.deletion import consequences
from vmtui.model import VMId


def test_in_the_trash_nothing_is_lost_yet() -> None:
    state = Doomed("TPM state", "/vms/one/tpm", 1, "disk keys sealed in it are lost")
    plan = DeletePlan(VMId("1"), "one", (state,))
    assert "  disk keys sealed in it are lost" in consequences(plan)
    lines = consequences(replace(plan, to_trash=True))
    assert "  once it is purged, disk keys sealed in it are lost" in lines
