"""What the doctor makes of what is there and what is missing."""

from __future__ import annotations

import argparse

import pytest

from vmtui import doctor
from vmtui.commands import machine
from vmtui.images import virt_v2v

KVM = doctor.Check("KVM", True, "it works")


@pytest.mark.parametrize(
    ("there", "told"),
    [("", "○ virt-v2v  not installed"), ("/usr/bin/v2v", "✓ virt-v2v  /usr/bin/v2v")],
)
async def test_what_is_optional_is_told_and_nothing_is_wrong_without_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    there: str,
    told: str,
) -> None:
    monkeypatch.setattr(virt_v2v, "installed", lambda: there)

    async def checks(*, recheck: bool) -> tuple[doctor.Check, ...]:
        return (KVM, doctor._virt_v2v())

    monkeypatch.setattr(doctor, "checks", checks)
    options = argparse.Namespace(recheck=False, json=False)
    assert await machine.doctor(options) == 0
    out = capsys.readouterr().out
    assert told in out
    assert ("nbdkit" in out) is (there == "")


async def test_what_is_missing_is_told_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def checks(*, recheck: bool) -> tuple[doctor.Check, ...]:
        return (KVM, doctor.Check("QEMU", False, "not installed", "no VM runs", "install it"))

    monkeypatch.setattr(doctor, "checks", checks)
    assert await machine.doctor(argparse.Namespace(recheck=False, json=False)) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "✗ QEMU  not installed",
        "        so: no VM runs",
        "        do: install it",
    ]


async def test_kvm_that_was_switched_off_is_switched_on_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VMTUI_ACCEL", "tcg")
    check = await doctor._acceleration(recheck=False)
    assert (check.found, check.fix) == ("VMTUI_ACCEL=tcg", "unset VMTUI_ACCEL")
