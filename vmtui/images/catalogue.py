"""Images that can be had by name: which there are, where they come from, what they need."""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urljoin, urlsplit

import msgspec
import platformdirs

from vmtui import toml
from vmtui.errors import ConfigError, UnsupportedError
from vmtui.images.checksums import ALGORITHMS
from vmtui.images.image import ImageKind
from vmtui.model import Firmware
from vmtui.spec import name_problem
from vmtui.units import parse_size_bytes

SIGNED_INSIDE = "inside"

_ARCHS = {"x86_64": "amd64", "aarch64": "arm64"}

Arch = Literal["amd64", "arm64"]
_PerArch = dict[Arch, str]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an image is downloaded from, and what tells that it is the right one."""

    url: str
    algorithm: str = "sha256"
    sum: str = ""  # if it is known beforehand
    checksums_url: str = ""  # a list with the sum
    signature_url: str = ""  # of that list, if it is not inside it
    signed_inside: bool = False
    keyrings: tuple[Path, ...] = ()

    @property
    def file_name(self) -> str:
        """What the publisher calls the file."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of the catalogue. What is None is not known."""

    name: str
    title: str
    kind: ImageKind
    origins: Mapping[str, Origin]  # by architecture
    user: str = ""
    disk_minimum_bytes: int | None = None
    memory_minimum_bytes: int | None = None
    firmware: Firmware | None = None
    serial_console: bool | None = None

    def origin(self, arch: str) -> Origin:
        """Where it is for `arch`. Raises UnsupportedError."""
        try:
            return self.origins[arch]
        except KeyError:
            raise UnsupportedError(
                f"there is no {self.name} for {arch}",
                why=f"it is published for {', '.join(self.origins)} only",
            ) from None


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry as it is written."""

    url: _PerArch
    title: str = ""
    kind: ImageKind = ImageKind.CLOUD
    user: str = ""
    disk: str = ""
    memory: str = ""
    firmware: Firmware | None = None
    serial_console: bool | None = None
    algorithm: str = "sha256"
    sum: _PerArch = {}
    checksums: str | _PerArch = ""
    signature: str | _PerArch = ""
    keyrings: tuple[str, ...] = ()


def host_arch() -> str:
    """This machine's architecture, as the catalogue calls it."""
    machine = platform.machine()
    return _ARCHS.get(machine, machine)


def own_path() -> Path:
    """Where the user's own entries are."""
    return platformdirs.user_config_path("vmtui") / "images.toml"


def catalogue(path: Path | None = None) -> dict[str, Entry]:
    """All entries by name: those shipped, and the user's own. Blocks for a short while.

    Raises ConfigError with file, name and reason.
    """
    path = path or own_path()
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return dict(_shipped())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read", why=str(error)) from error
    return {**_shipped(), **parse(text, str(path))}


@functools.cache
def _shipped() -> dict[str, Entry]:
    text = resources.files(__package__).joinpath("catalogue.toml").read_text("utf-8")
    return parse(text, "catalogue.toml")


def parse(text: str, file: str) -> dict[str, Entry]:
    """The entries in a text; `file` is named in the ConfigErrors."""
    try:
        content = toml.tables(text)
    except toml.TomlError as error:
        raise ConfigError(f"{file} is not valid TOML", why=str(error)) from error
    entries = {}
    for name, table in content.items():
        try:
            entries[name] = _entry(name, msgspec.convert(table, _Row))
        except ValueError as error:  # msgspec's are ValueErrors
            raise ConfigError(f"{file}: {name}", why=str(error)) from error
    return entries


def _entry(name: str, row: _Row) -> Entry:
    problem = name_problem(name)
    if problem:
        raise ValueError(problem.replace("A VM", "An image"))
    if not row.url:
        raise ValueError("`url` has no address")
    return Entry(
        name=name,
        title=row.title or name,
        kind=row.kind,
        origins={arch: _origin(row, arch) for arch in row.url},
        user=row.user,
        disk_minimum_bytes=parse_size_bytes(row.disk) if row.disk else None,
        memory_minimum_bytes=parse_size_bytes(row.memory) if row.memory else None,
        firmware=row.firmware,
        serial_console=row.serial_console,
    )


def _origin(row: _Row, arch: Arch) -> Origin:
    if row.algorithm not in ALGORITHMS:
        raise ValueError(f"`algorithm` {row.algorithm!r} is none of {', '.join(ALGORITHMS)}")
    url = _address(row.url[arch], "")
    file_name = Origin(url).file_name
    sum_ = row.sum.get(arch, "").lower()
    checksums = _of(row.checksums, arch, file_name)
    signature = _of(row.signature, arch, file_name)
    inside = signature == SIGNED_INSIDE
    if not sum_ and not checksums:
        raise ValueError(f"`checksums` or `sum` is needed for {arch}: nothing is used unverified")
    if not file_name or file_name.startswith(".") or "/" in file_name:
        raise ValueError(f"`url` names no file: {url}")
    return Origin(
        url=url,
        algorithm=row.algorithm,
        sum=sum_,
        checksums_url=_address(checksums, url) if checksums else "",
        signature_url=_address(signature, url) if signature and not inside else "",
        signed_inside=inside,
        keyrings=tuple(Path(keyring) for keyring in row.keyrings),
    )


def _of(value: str | _PerArch, arch: Arch, file_name: str) -> str:
    text = value if isinstance(value, str) else value.get(arch, "")
    return text.replace("{file}", file_name)


def _address(text: str, beside: str) -> str:
    address = urljoin(beside, text) if beside else text
    if urlsplit(address).scheme not in ("https", "http") or not urlsplit(address).netloc:
        raise ValueError(f"{text!r} is no address that starts with https:// or http://")
    return address
