"""Who leans on what: images of the library and VMs that have to stay as they are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from vmtui.backends.kvm.machine import Machine
from vmtui.errors import StateError

_IMAGE = re.compile(r'\bimage\s*=\s*"([^"]*)"')


def images_in_use(machines: Iterable[Machine]) -> Mapping[str, tuple[str, ...]]:
    """By an image's name in the library, the names of the VMs that can't be without it."""
    found = defaultdict(list)
    for machine in machines:
        for image in _images(machine):
            found[image].append(machine.name)
    return {image: tuple(sorted(names)) for image, names in found.items()}


def _images(machine: Machine) -> frozenset[str]:
    if machine.definition is not None:
        # What runs may still lean on what the next boot does not.
        return frozenset().union(*(definition.images for definition in machine.definitions))
    # Rather one too many than one too few.
    return frozenset(image for image in _IMAGE.findall(_text(machine)) if image)


def leaners(machines: Iterable[Machine], source: Machine) -> Iterator[str]:
    """The names of the VMs whose disks lean on those of `source`."""
    for machine in machines:
        if machine is source:
            continue
        if machine.definition is None:
            if source.id in _text(machine):
                yield machine.name
        elif any(definition.leans_on(source.id) for definition in machine.definitions):
            yield machine.name


def refuse_leaned_on(machines: Iterable[Machine], source: Machine, verb: str) -> None:
    """Raise StateError while linked clones lean on `source`."""
    names = sorted(leaners(machines, source))
    if names:
        raise StateError(
            f"can't {verb} {source.name}",
            why=f"the disks of {', '.join(names)} lean on its own",
            hint="Delete those first, or leave it as it is and use a clone of it.",
        )


def _text(machine: Machine) -> str:
    """What the definition of a VM says that can't be understood."""
    with suppress(OSError):
        return (machine.folder / "vm.toml").read_text("utf-8", "replace")
    return ""
