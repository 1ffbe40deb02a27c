"""What vmtui is killed at: commands, what there is before and after them, and where."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fault.warm import Ran, Warm

Content = Mapping[str, bytes]


@dataclass
class Site:
    """A user's folders, and a vmtui in them."""

    root: Path
    warm: Warm

    @property
    def vms(self) -> Path:
        return self.root / "data" / "vmtui" / "vms"

    @property
    def images(self) -> Path:
        return self.root / "data" / "vmtui" / "images"

    def names(self) -> frozenset[str]:
        """All that there is, by path; but for what every VM that was changed once has beside it."""
        vms = [path.name for path in self.vms.iterdir()]
        usual = {path for name in vms for path in (f"run/vmtui/{name}", f"run/vmtui/.{name}.lock")}
        found = {str(path.relative_to(self.root)) for path in self.root.rglob("*")}
        return frozenset(found - usual)

    async def run(self, *argv: str, **how: object) -> Ran:
        """To its end, and well."""
        ran = await self.may_fail(*argv, **how)
        assert ran.status == 0, ran.output
        return ran

    async def may_fail(self, *argv: str, **how: object) -> Ran:
        return await asyncio.to_thread(self.warm.run, *argv, **how)  # type: ignore[arg-type]


def content(folder: Path) -> Content:
    """Every file in it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Operation:
    """A command that changes something, and what there is before and after it.

    What stands here is right for one that makes something called `fresh`.
    """

    argv: tuple[str, ...] = ()
    may_leave: tuple[str, ...] = ()
    """What is there until the next time, by how it begins."""

    def __init__(self, site: Site) -> None:
        self.site = site

    async def prepare(self) -> None:
        """Bring about what it starts from."""

    def environment(self) -> Mapping[str, str]:
        return {}

    async def finish(self) -> None:
        """Check that what it made is whole, and take it away."""

    def is_done(self) -> bool:
        """Whether it came to what it was for."""
        return (self.site.vms / "fresh").exists()


class Create(Operation):
    """With a disk that leans on an image, an empty one, a seed, firmware and a TPM."""

    argv = (
        *("create", "fresh", "--image", "tiny", "--add-disk", "16M", "--user", "me"),
        *("--firmware", "uefi", "--tpm"),
    )

    async def finish(self) -> None:
        ran = await self.site.run("show", "fresh", "--json")
        assert json.loads(ran.output)["problem"] == ""
        await self.site.run("delete", "fresh", "--yes")


class Delete(Operation):
    """Of a VM that nothing leans on."""

    argv: tuple[str, ...] = ("delete", "fresh", "--yes")
    original: Content

    async def prepare(self) -> None:
        fresh = self.site.vms / "fresh"
        if not fresh.exists():
            shutil.copytree(self.site.vms / "keep", fresh)
            text = (fresh / "vm.toml").read_text()
            old = next(line for line in text.splitlines() if line.startswith("uuid"))
            (fresh / "vm.toml").write_text(text.replace(old, f'uuid = "{uuid.uuid4()}"'))
        self.original = content(fresh)

    def is_done(self) -> bool:
        if (self.site.vms / "fresh").exists():
            assert content(self.site.vms / "fresh") == self.original
            return False
        return True

    async def finish(self) -> None:
        await self.prepare()


class DeleteToTrash(Delete):
    """The same, so that it can be had again."""

    argv = ("delete", "fresh", "--yes", "--trash")

    async def finish(self) -> None:
        ran = await self.site.run("trash", "restore", "fresh")
        assert "back" in ran.output
        assert content(self.site.vms / "fresh") == self.original


class Set(Operation):
    """A setting, which can be undone; what was not kept for that goes with the next change."""

    may_leave: tuple[str, ...] = ("state/vmtui/undo/",)
    times = 0

    @property
    def argv(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("set", "web", f"memory={self.memory}")

    @property
    def memory(self) -> str:
        return f"{300 + self.times}M"

    async def prepare(self) -> None:
        self.times += 1
        self.before = (self.site.vms / "web" / "vm.toml").read_text()

    def is_done(self) -> bool:
        """What there is is the old definition, or the new one."""
        now = (self.site.vms / "web" / "vm.toml").read_text()
        assert now == self.before or f'memory = "{self.memory}"' in now
        return now != self.before


class Edit(Set):
    """The definition in an editor. The editor may have its file still."""

    argv = ("edit", "web", "--yes")
    may_leave = ("run/vmtui-edit-", *Set.may_leave)

    def environment(self) -> Mapping[str, str]:
        return {"VISUAL": f"sed -i 's/^memory = .*/memory = \"{self.memory}\"/'"}


class Import(Operation):
    """Of a disk, which is converted."""

    name = "fresh"

    @property
    def argv(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("images", "import", str(self.site.root / "foreign.raw"), "--name", self.name)

    def is_done(self) -> bool:
        return (self.site.images / self.name).exists()

    async def finish(self) -> None:
        [disk] = (self.site.images / self.name).glob("disk.*")
        same = ["qemu-img", "compare", "-q", "-f", "raw", str(self.site.root / "foreign.raw")]
        await asyncio.to_thread(subprocess.run, [*same, str(disk)], check=True)
        await self.site.run("images", "remove", self.name, "--yes")


class Pull(Import):
    """Of an image of the catalogue; what has come of it is for the next try."""

    name = "published"
    may_leave = ("cache/vmtui/downloads/",)
    argv = ("images", "pull", "published")


OPERATIONS = (Create, Delete, DeleteToTrash, Set, Edit, Import, Pull)
