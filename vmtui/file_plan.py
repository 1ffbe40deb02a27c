"""What a file of VMs comes to on a connection: what is made, what is there, and how it differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from vmtui.errors import InputError
from vmtui.model import VM
from vmtui.recipe import Recipe
from vmtui.units import parse_size_bytes, plain, size


class Step(Enum):
    """What is done about one VM of a file. The value is the word that is shown."""

    MAKE = "make"
    SAME = "is there, same"
    DIFFERS = "is there, differs"  # and is left so


@dataclass(frozen=True, slots=True)
class Planned:
    """One VM of a file; `differences` are of one that is there."""

    recipe: Recipe
    step: Step
    differences: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = f": {'; '.join(self.differences)}" if self.differences else ""
        return f"{plain(self.recipe.name or '')}: {self.step.value}{told}"


def plan(recipes: Iterable[Recipe], vms: Iterable[VM]) -> list[Planned]:
    """A step for each recipe, which has its preset applied. Only what it says is compared."""
    there = {vm.name: vm for vm in vms}
    steps = []
    for recipe in recipes:
        vm = there.get(recipe.name or "")
        found = () if vm is None else tuple(_differences(recipe, vm))
        step = Step.MAKE if vm is None else Step.DIFFERS if found else Step.SAME
        steps.append(Planned(recipe, step, found))
    return steps


def _differences(recipe: Recipe, vm: VM) -> Iterable[str]:
    compared: tuple[tuple[str, object, object, Callable[[object], str]], ...] = (
        ("vCPUs", recipe.vcpus, vm.vcpus, str),
        ("firmware", recipe.firmware, vm.firmware, _word),
        ("TPM", recipe.tpm, vm.tpm, _yes),
        ("image", recipe.image, vm.image, _word),
        ("description", recipe.description, vm.description, _word),
        ("tags", _sorted(recipe.tags), _sorted(vm.tags), _word),
        ("autostart", recipe.autostart, vm.autostart, _yes),
        ("throwaway", recipe.throwaway, vm.throwaway, _yes),
    )
    for label, wanted, is_, told in compared:
        if wanted is not None and wanted != is_:
            yield f"{label} {told(is_)}, not {told(wanted)}"
    wanted_bytes = _bytes(recipe)
    if wanted_bytes is not None and wanted_bytes != vm.memory_bytes:
        yield f"memory {size(vm.memory_bytes)}, not {size(wanted_bytes)}"


def _bytes(recipe: Recipe) -> int | None:
    try:
        return (recipe.memory and parse_size_bytes(recipe.memory)) or None
    except ValueError as error:
        raise InputError(f"{recipe.name}: memory", why=str(error)) from error


def _sorted(tags: tuple[str, ...] | None) -> str | None:
    return None if tags is None else ", ".join(sorted(tags))


def _word(value: object) -> str:
    return (plain(str(value)) if value else "") or "none"


def _yes(value: object) -> str:
    return "yes" if value else "no"
