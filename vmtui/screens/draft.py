"""What is typed into the form for a new VM, and what that comes to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as with_default

import msgspec

from vmtui import naming
from vmtui.errors import VmtuiError
from vmtui.model import Accel, Firmware
from vmtui.recipe import NO_DISK, OWN_KEYS, Recipe, specified
from vmtui.screens.form_fields import FIELDS, Kind
from vmtui.spec import (
    MICRO,
    Boot,
    BootKind,
    Limits,
    Problem,
    VMSpec,
    default_disk_bytes,
    default_memory_bytes,
)
from vmtui.spec_problems import problems, warnings
from vmtui.units import size

_KEY_STARTS = ("ssh-", "ecdsa-", "sk-")


@dataclass(frozen=True, slots=True)
class Draft:
    """The fields as text. `boot` is what the image turned out to be, None while that is open."""

    texts: Mapping[str, str]
    boot: Boot | None = MICRO
    image_error: VmtuiError | None = None
    own_keys: Sequence[str] = ()
    throwaway: bool = False
    files: Recipe = with_default(default_factory=Recipe)
    """The content of files that fields name, where it has been read."""

    def read(self, limits: Limits) -> tuple[VMSpec | None, list[Problem]]:
        """The VM to make, or None and every problem, in the order of the fields."""
        found: list[Problem] = []
        if self.image_error is not None:
            why = f": {self.image_error.why}" if self.image_error.why else ""
            found.append(Problem("image", f"{self.image_error.what}{why}.", self.image_error.hint))
        recipe = self.files.over(self._without_files(self.recipe(found)))
        # With what can't be read replaced by what is fine, the rest is still checked.
        spec, unread = specified(recipe, self.boot or MICRO, self.own_keys)
        found += unread
        named = {problem.field for problem in found}
        found += [problem for problem in problems(spec, limits) if problem.field not in named]
        found.sort(key=lambda problem: _place(problem.field))
        return (None if found or self.boot is None else spec), found

    def warnings(self) -> list[Problem]:
        """What is unwise, of what can be read."""
        spec, _ = specified(self._without_files(self.recipe([])), self.boot or MICRO, self.own_keys)
        found = warnings(spec)
        init = spec.cloud_init
        if init and not (init.ssh_keys or init.password_hash or init.user_data):
            found.append(Problem("image", "Nobody can log in: there is no SSH key in ~/.ssh."))
        return found

    def ssh_answers(self) -> bool:
        """Whether cloud-init will let somebody in by ssh, for all that is known without files."""
        recipe = self.recipe([])
        spec, _ = specified(self._without_files(recipe), self.boot or MICRO, self.own_keys)
        if spec.cloud_init is None or spec.nics == ():
            return False
        keys = spec.cloud_init.ssh_keys or set(recipe.ssh_keys or ()) - {OWN_KEYS}
        return bool(keys or recipe.user_data)

    def recipe(self, found: list[Problem]) -> Recipe:
        """The same as a recipe; what can't be read is put into `found`."""
        said: dict[str, object] = {}
        for name, entry in FIELDS.items():
            text = self.texts.get(name, "").strip()
            if not text or not entry.in_recipe:
                continue
            match entry.kind:
                case Kind.TICK:
                    said[name] = text == "yes" or None
                case Kind.WORDS:
                    said[name] = _words(name, text, found)
                case _:
                    said[name] = text
        said["vcpus"] = _number(self.texts.get("vcpus", ""), found)
        said["disk"] = self.texts.get("disk", "").strip() or NO_DISK
        if self.boot is not None and self.boot.cloud:
            said.setdefault("ssh_keys", ())  # the field is empty: none are wanted
        said["firmware"] = Firmware(self.texts.get("firmware") or Firmware.BIOS)
        said["accel"] = Accel(self.texts.get("accel") or Accel.AUTO)
        graphics = self.texts.get("graphics", "")
        said["graphics"] = None if not graphics else graphics == "yes"
        said["throwaway"] = self.throwaway or None
        return Recipe(**said)  # type: ignore[arg-type]

    @staticmethod
    def _without_files(recipe: Recipe) -> Recipe:
        """Keys and texts that are in files are looked at once they are read."""
        keys = tuple(
            key for key in recipe.ssh_keys or () if key == OWN_KEYS or key.startswith(_KEY_STARTS)
        )
        return msgspec.structs.replace(
            recipe,
            ssh_keys=None if recipe.ssh_keys is None else keys,
            user_data=None,
            network_config=None,
        )


def _place(name: str) -> int:
    return list(FIELDS).index(name) if name in FIELDS else len(FIELDS)


def _words(name: str, text: str, found: list[Problem]) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:
        found.append(Problem(name, "A quotation mark is missing."))
        return ()


def _number(text: str, found: list[Problem]) -> int | None:
    if re.fullmatch(r"\s*\d{1,6}\s*", text):
        return int(text)
    found.append(Problem("vcpus", "A whole number, such as 2."))
    return None


def filled_in(image: str, boot: Boot, limits: Limits, preset: Recipe) -> dict[str, str]:
    """What stands in the fields until the user types: the preset, and what fits the image."""
    stem = image if boot.path is None or boot.image else boot.path.stem
    if boot.kind is BootKind.NONE:
        stem = "vm"
    if preset.throwaway:
        stem = "sandbox"
    texts = {name: "no" if field.kind is Kind.TICK else "" for name, field in FIELDS.items()}
    texts |= {
        "name": naming.free_name(stem, limits.taken_names),
        "vcpus": "1",
        "memory": _short(default_memory_bytes(boot)),
        "disk": _disk(boot),
        "firmware": (boot.firmware or Firmware.BIOS).value,
        "accel": Accel.AUTO.value,
        "ssh_keys": OWN_KEYS if boot.cloud else "",
    }
    for name, value in msgspec.to_builtins(preset).items():
        if name in FIELDS and name not in ("image", "name"):
            texts[name] = _text(value)
    return texts


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return shlex.join(value) if isinstance(value, list | tuple) else str(value)


def _disk(boot: Boot) -> str:
    disk_bytes = default_disk_bytes(boot)
    return "" if disk_bytes is None else _short(disk_bytes)


def _short(size_bytes: int) -> str:
    return size(size_bytes).replace(" ", "").replace("iB", "")


_WHAT = {BootKind.ISO: "ISO", BootKind.KERNEL: "kernel"}


def described(boot: Boot | None) -> str:
    """What an image was found to be."""
    if boot is None:
        return "looking …"
    if boot.image:
        what = "cloud image" if boot.cloud else _WHAT.get(boot.kind, "disk image")
        if boot.initrd:
            what += " with its initrd"
        user = f", user {boot.user}" if boot.user else ""
        return f"a {what}{user}{'' if boot.path else ', pulled first'}".replace("a ISO", "an ISO")
    match boot.kind:
        case BootKind.MICRO:
            return "or the path of an ISO or disk image, or none"
        case BootKind.NONE:
            return "an empty disk"
        case BootKind.ISO:
            return f"an ISO of {size(boot.virtual_size_bytes)}"
        case _:
            return f"a {boot.format} disk of {size(boot.virtual_size_bytes)}, copied"
