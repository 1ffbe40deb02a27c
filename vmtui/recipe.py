"""A VM as a user writes it, every key optional: presets, files, the command line, the form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from vmtui import part_texts, toml
from vmtui.errors import InputError
from vmtui.files import at_home
from vmtui.model import VM, Accel, Firmware
from vmtui.parts import CloudInit, Forward, NetworkKind, NicSpec
from vmtui.spec import Boot, BootKind, Problem, VMSpec, default_disk_bytes, default_memory_bytes
from vmtui.units import MIB, parse_size_bytes

OWN_KEYS = "own"
"""Among the keys: all that this user has in `~/.ssh` and the agent."""

NO_NETWORK = "none"
NO_DISK = "none"

_T = TypeVar("_T")


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was said of a VM; None: nothing. Parts are written as `part_texts` reads them."""

    name: str | None = None
    preset: str | None = None
    image: str | None = None
    vcpus: int | None = None
    topology: str | None = None
    cpu_model: str | None = None
    memory: str | None = None
    balloon: str | None = None  # the least that a balloon leaves the guest
    disk: str | None = None  # or `none`
    full_copy: bool | None = None
    disks: tuple[str, ...] | None = None
    media: tuple[str, ...] | None = None
    firmware: Firmware | None = None
    tpm: bool | None = None
    accel: Accel | None = None
    network: tuple[str, ...] | str | None = None
    forward: tuple[str, ...] | None = None
    share: tuple[str, ...] | None = None
    graphics: bool | None = None
    boot_order: tuple[str, ...] | None = None
    hyperv: bool | None = None
    cloud_init: bool | None = None  # None: where the image has it, or one of the next is given
    hostname: str | None = None
    user: str | None = None
    ssh_keys: tuple[str, ...] | None = None  # keys, their files, or `own`
    password_hash: str | None = None
    packages: tuple[str, ...] | None = None
    commands: tuple[str, ...] | None = None
    user_data: str | None = None  # a text, or the path of a file
    network_config: str | None = None  # the same
    description: str | None = None
    tags: tuple[str, ...] | None = None
    autostart: bool | None = None
    throwaway: bool | None = None

    def over(self, base: Recipe) -> Recipe:
        """What this says, and where it says nothing, `base`."""
        said = {name: value for name, value in msgspec.structs.asdict(self).items()
                if value is not None}  # fmt: skip
        return msgspec.structs.replace(base, **said)

    @property
    def networks(self) -> tuple[str, ...]:
        """One network or several, in any case a tuple."""
        return (self.network,) if isinstance(self.network, str) else self.network or ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    vm: tuple[Recipe, ...] = ()


CLOUD_KEYS = (
    "hostname",
    "user",
    "ssh_keys",
    "password_hash",
    "packages",
    "commands",
    "user_data",
    "network_config",
)


def read_preset(text: str, where: str) -> Recipe:
    """The recipe in a preset's text. Raises InputError with file, key and reason."""
    return _read(text, where, Recipe)


def read_file(text: str, where: str) -> tuple[Recipe, ...]:
    """The `[[vm]]` of a file, each with a name of its own. Raises InputError as above."""
    recipes = _read(text, where, _File).vm
    if not recipes:
        raise InputError(f"{where} has no [[vm]] in it")
    names: set[str] = set()
    for place, recipe in enumerate(recipes):
        if not recipe.name:
            raise InputError(f"{where}: vm[{place}]: name", why="every VM needs one")
        if recipe.name in names:
            raise InputError(f"{where}: vm[{place}]: name", why=f"{recipe.name!r} is there twice")
        names.add(recipe.name)
    return recipes


def _read(text: str, where: str, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(toml.tables(text), kind)
    except toml.TomlError as error:
        raise InputError(f"{where} is not valid TOML", why=str(error)) from error
    except msgspec.ValidationError as error:
        # msgspec says "Expected `int`, got `str` - at `$.vm[0].vcpus`".
        reason, _, place = str(error).replace(" | null", "").partition(" - at ")
        key = place.strip("`").removeprefix("$").removeprefix(".")
        unknown = "unknown field" in reason
        hint = f"There is: {', '.join(Recipe.__struct_fields__)}." if unknown else ""
        raise InputError(
            f"{where}: {key}" if key else where, why=reason[:1].lower() + reason[1:], hint=hint
        ) from error


def specified(
    recipe: Recipe, boot: Boot, own_keys: Sequence[str] = ()
) -> tuple[VMSpec, list[Problem]]:
    """The VM to make, and what of the recipe can't be read; those parts are as if not said."""
    reader = _Reader()
    nics = _nics(recipe, reader)
    layout = recipe.topology and reader.one("topology", part_texts.topology, recipe.topology)
    memory_bytes = recipe.memory and reader.one("memory", parse_size_bytes, recipe.memory)
    spec = VMSpec(
        name=recipe.name or "",
        boot=boot,
        vcpus=1 if recipe.vcpus is None else recipe.vcpus,
        memory_bytes=memory_bytes or default_memory_bytes(boot),
        disk_bytes=_disk_bytes(recipe, boot, reader),
        firmware=recipe.firmware or boot.firmware or Firmware.BIOS,
        tpm=bool(recipe.tpm),
        accel=recipe.accel or Accel.AUTO,
        description=recipe.description or "",
        full_copy=bool(recipe.full_copy),
        topology=layout or None,
        cpu_model=recipe.cpu_model or "",
        balloon_floor_bytes=(
            reader.one("balloon", parse_size_bytes, recipe.balloon) if recipe.balloon else None
        ),
        disks=tuple(reader.each("disks", part_texts.disk, recipe.disks or ())),
        media=tuple(at_home(path).absolute() for path in recipe.media or ()),
        nics=nics,
        shares=tuple(reader.each("share", part_texts.share, recipe.share or ())),
        graphics=recipe.graphics,
        boot_order=recipe.boot_order or (),
        hyperv=bool(recipe.hyperv),
        cloud_init=_cloud_init(recipe, boot, own_keys),
        ssh_user=recipe.user or boot.user,
        tags=recipe.tags or (),
        autostart=bool(recipe.autostart),
        throwaway=bool(recipe.throwaway),
    )
    return spec, reader.problems


class _Reader:
    """Reads texts, and collects what can't be read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def one(self, key: str, read: Callable[[str], _T], text: str) -> _T | None:
        try:
            return read(text)
        except ValueError as error:
            self.problems.append(Problem(key, f"{str(error)[:1].upper()}{str(error)[1:]}."))
            return None

    def each(self, key: str, read: Callable[[str], _T], texts: Iterable[str]) -> list[_T]:
        found = [self.one(key, read, text) for text in texts]
        return [part for part in found if part is not None]


def _disk_bytes(recipe: Recipe, boot: Boot, reader: _Reader) -> int | None:
    if not recipe.disk:
        return default_disk_bytes(boot)
    return None if recipe.disk == NO_DISK else reader.one("disk", parse_size_bytes, recipe.disk)


def _nics(recipe: Recipe, reader: _Reader) -> tuple[NicSpec, ...] | None:
    """None: whatever the connection gives a new VM."""
    networks = recipe.networks
    if networks == (NO_NETWORK,):
        if recipe.forward:
            reader.problems.append(Problem("forward", "Without a network nothing is forwarded."))
        return ()
    forwards = tuple(reader.each("forward", part_texts.forward, recipe.forward or ()))
    if not networks and not forwards:
        return None
    nics = reader.each("network", part_texts.network, networks) or [NicSpec()]
    return _with_forwards(nics, forwards)


def _with_forwards(nics: list[NicSpec], forwards: tuple[Forward, ...]) -> tuple[NicSpec, ...]:
    # The first card that can have them; else the first, which is then a problem of the spec.
    places = [
        i for i, nic in enumerate(nics) if nic.network in (NetworkKind.USER, NetworkKind.ISOLATED)
    ]
    place = places[0] if places else 0
    nics[place] = NicSpec(nics[place].network, nics[place].source, forwards)
    return tuple(nics)


def _cloud_init(recipe: Recipe, boot: Boot, own_keys: Sequence[str]) -> CloudInit | None:
    # Keys alone, as presets have them, are no reason: who boots an ISO has no use for them.
    asked = any(getattr(recipe, key) for key in CLOUD_KEYS if key != "ssh_keys")
    keyed = bool(recipe.ssh_keys) and boot.kind is BootKind.DISK
    fitting = boot.cloud or asked or keyed
    if not (fitting if recipe.cloud_init is None else recipe.cloud_init):
        return None
    keys: list[str] = []
    for key in (OWN_KEYS,) if recipe.ssh_keys is None else recipe.ssh_keys:
        keys += own_keys if key == OWN_KEYS else [key]
    return CloudInit(
        hostname=recipe.hostname or "",
        user=recipe.user or "",
        ssh_keys=tuple(dict.fromkeys(keys)),
        password_hash=recipe.password_hash or "",
        packages=recipe.packages or (),
        commands=recipe.commands or (),
        user_data=recipe.user_data or "",
        network_config=recipe.network_config or "",
    )


def of_vm(vm: VM) -> Recipe:
    """A recipe for VMs like that one, as far as can be seen from outside; without a name."""
    return Recipe(
        image=vm.image or None,
        vcpus=vm.vcpus,
        memory=f"{vm.memory_bytes // MIB}M",
        firmware=vm.firmware,
        tpm=vm.tpm or None,
        user=vm.ssh.user or None,
        tags=vm.tags or None,
        autostart=vm.autostart or None,
        throwaway=vm.throwaway or None,
    )
