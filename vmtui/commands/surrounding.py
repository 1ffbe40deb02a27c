"""`balloon`, `tpm` and `firmware`: a VM's memory now, its TPM's state, its firmware's variables."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from vmtui import ballooning
from vmtui.backends.abilities import FirmwareVariables, Tpms
from vmtui.backends.base import Feature
from vmtui.commands.configuring import changed
from vmtui.commands.confirming import confirm, confirm_loss
from vmtui.commands.telling import clear_progress, failed, on_terminal
from vmtui.errors import (
    EXIT_DONE,
    InputError,
    OperationError,
    StateError,
    UnsupportedError,
    UsageError,
    read_only,
)
from vmtui.files import at_home
from vmtui.fleet import Fleet
from vmtui.hardware.around import Balloon
from vmtui.hardware.changes import Assign, Change, When
from vmtui.hardware.values import Value
from vmtui.opening import connected
from vmtui.output import print_facts, print_json
from vmtui.units import parse_size_bytes, plain, size
from vmtui.views import VMRef

SEALED = "disk keys sealed in it are lost"


async def balloon(options: argparse.Namespace) -> int:
    """`vmtui balloon NAME [SIZE]`."""
    target_bytes = _size(options.size) if options.size else None
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        name = fleet.vm(ref).name
        if target_bytes is None:
            _tell_balloon(name, await ballooning.balloons(fleet, ref).balloon(ref.id), options)
            return EXIT_DONE
        await ballooning.ask(fleet, ref, target_bytes, below_floor=options.below_floor)
        if not options.wait:
            _tell_balloon(name, await ballooning.balloons(fleet, ref).balloon(ref.id), options)
            return EXIT_DONE
        try:
            came = await ballooning.follow(fleet, ref, target_bytes, on_terminal)
        finally:
            clear_progress()
    if options.json:
        print_json({"name": name, **msgspec.to_builtins(came)})
    reached = came.compliance is ballooning.Compliance.REACHED
    if reached and not options.json:
        print(came.told(name))
    return EXIT_DONE if reached else failed(OperationError(came.told(name)))


def _size(text: str) -> int:
    try:
        return parse_size_bytes(text)
    except ValueError as error:
        raise InputError("the balloon can't be that", why=str(error)) from error


def _tell_balloon(name: str, now: Balloon, options: argparse.Namespace) -> None:
    if options.json:
        print_json({"name": name, **msgspec.to_builtins(now)})
        return
    print(f"{plain(name)} has {size(now.actual_bytes, digits=2)} of {size(now.ceiling_bytes)}")
    if now.target_bytes is not None and now.target_bytes != now.actual_bytes:
        print(f"It was asked to do with {size(now.target_bytes, digits=2)}.")
    if now.answers is False:
        print("Its guest has no balloon driver.")


async def tpm(options: argparse.Namespace) -> int:
    """`vmtui tpm NAME show|add|remove|backup|restore|clear`."""
    _check_file(options, needed=options.what in ("backup", "restore"))
    if options.what == "add":
        encrypted = [Assign("tpm.encrypted", True)] if options.encrypted else []
        return await _assigned(options, ("tpm", options.model), *encrypted)
    if options.what == "remove":
        return await _assigned(options, ("tpm", "off"))
    if options.plan:
        raise UsageError("--plan is for add and remove")
    _check_json(options)
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        name = fleet.vm(ref).name
        tpms = _tpms(fleet, ref)
        if options.what == "show":
            _tell(msgspec.to_builtins(await tpms.tpm(ref.id), enc_hook=str), options)
            return EXIT_DONE
        if options.what == "backup":
            await tpms.back_up_tpm(ref.id, _path(options))
            print(f"The TPM of {plain(name)} is in {plain(options.file)}: keep it secret")
            return EXIT_DONE
        _check_change(fleet, ref, f"{options.what} of the TPM")
        await tpms.tpm(ref.id)  # nobody is asked about one that is not there
        what = "begins anew" if options.what == "clear" else "is replaced"
        await confirm_loss(name, [f"The TPM of {name} {what}: {SEALED}."], options.confirm)
        if options.what == "clear":
            await tpms.clear_tpm(ref.id)
            print(f"The TPM of {plain(name)} is empty")
        else:
            await tpms.restore_tpm(ref.id, _path(options))
            print(f"The TPM of {plain(name)} is as it was in {plain(options.file)}")
    return EXIT_DONE


async def _assigned(options: argparse.Namespace, first: tuple[str, Value], *more: Change) -> int:
    options.when = When.AUTO
    return await changed(options, [Assign(*first), *more])


async def firmware(options: argparse.Namespace) -> int:
    """`vmtui firmware NAME show|reset|backup`."""
    if options.what != "reset":
        _check_file(options, needed=options.what == "backup")
    _check_json(options)
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        name = fleet.vm(ref).name
        variables = _variables(fleet, ref)
        if options.what == "show":
            _tell(msgspec.to_builtins(await variables.firmware(ref.id), enc_hook=str), options)
            return EXIT_DONE
        if options.what == "backup":
            await variables.back_up_variables(ref.id, _path(options))
            print(f"The UEFI variables of {plain(name)} are in {plain(options.file)}")
            return EXIT_DONE
        _check_change(fleet, ref, "reset of the UEFI variables")
        lost = "Its boot entries, and keys that were enrolled in it, are lost."
        if not options.yes:
            await confirm(f"Reset the UEFI variables of {name}?", [lost], what="the reset")
        await variables.reset_variables(ref.id, _path(options) if options.file else None)
        print(f"The UEFI variables of {plain(name)} are new")
    return EXIT_DONE


def _tpms(fleet: Fleet, ref: VMRef) -> Tpms:
    backend = fleet.backend(ref)
    if not isinstance(backend, Tpms) or Feature.TPM not in fleet.backend(ref).features:
        raise UnsupportedError(f"{fleet.connection(ref.uri).label} has no TPMs")
    return backend


def _variables(fleet: Fleet, ref: VMRef) -> FirmwareVariables:
    backend = fleet.backend(ref)
    known = Feature.VARIABLES in fleet.backend(ref).features
    if not isinstance(backend, FirmwareVariables) or not known:
        raise UnsupportedError(f"{fleet.connection(ref.uri).label} tells nothing of firmware")
    return backend


def _check_change(fleet: Fleet, ref: VMRef, what: str) -> None:
    """Before anybody is asked: it may be changed, and is off."""
    vm = fleet.vm(ref)
    if fleet.connection(ref.uri).read_only:
        raise read_only(f"{what} of {vm.name}")
    if vm.state.active:
        raise StateError(
            f"{what} of {vm.name} can't be now",
            why=f"it is {vm.state.value}",
            hint=f"Shut it down first: vmtui shutdown {vm.name}",
        )


def _check_file(options: argparse.Namespace, *, needed: bool) -> None:
    if needed and not options.file:
        raise UsageError(f"{options.what} needs a FILE")
    if options.file and not needed:
        raise UsageError(f"{options.what} takes no FILE")


def _check_json(options: argparse.Namespace) -> None:
    if options.json and options.what != "show":
        raise UsageError(f"--json is for show, not for {options.what}")


def _path(options: argparse.Namespace) -> Path:
    return at_home(options.file).absolute()


def _tell(facts: dict[str, object], options: argparse.Namespace) -> None:
    if options.json:
        print_json(facts)
        return
    log = str(facts.pop("log", ""))
    print_facts(facts)
    if log:
        print(f"log:\n{plain(log, keep_lines=True).rstrip()}")
