"""A definition in the user's own editor: opened, marked where it is wrong, never lost."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import platformdirs

from vmtui.command import attended
from vmtui.errors import InputError, MissingError, OperationError, VmtuiError
from vmtui.files import scratch, write_whole
from vmtui.hardware.changes import DefinitionText, Language
from vmtui.whole import whole_in_thread

EDITORS = ("sensible-editor", "editor", "nano", "vi")
"""Where neither VISUAL nor EDITOR says which."""

_REMARKS = {Language.XML: ("<!-- vmtui: ", " -->"), Language.TOML: ("# vmtui: ", "")}
_LINE = re.compile(r"line (\d+): ")
# Bytes that are no text are carried along, so that nothing is lost by a wrong one.
_AS_IT_IS = "surrogateescape"


class Edit:
    """One edit of a definition, through as many turns of the editor as it takes.

    `edited` is what came out of the last turn, None where that is nothing new; it is kept in a
    file when all ends otherwise than by `settled`.
    """

    def __init__(self, stored: DefinitionText, folder: Path, begin: str) -> None:
        self._stored = stored
        self._file = folder / f"definition.{stored.language}"
        self._text = begin
        self.edited: DefinitionText | None = None
        self.kept_in = ""
        """The file, for a shell, once it was cancelled with something to keep."""

    async def turn(self) -> DefinitionText | None:
        """Give the editor this terminal; what comes out of it, None where that is nothing new.

        Raises InputError for what is no text, OperationError, MissingError.
        """
        content = self._text.encode("utf-8", _AS_IT_IS)
        await whole_in_thread(write_whole, self._file, content)
        status = await attended(*editor(), str(self._file))
        written = await asyncio.to_thread(_read, self._file)
        self._text = _without_remarks(written, self._stored.language)
        same = not self._text.strip() or self._text == self._stored.text
        self.edited = None if same else replace(self._stored, text=self._text)
        if status != 0:
            raise OperationError(f"the editor ended with status {status}")
        return self.edited

    def remark(self, error: VmtuiError) -> None:
        """Put what is wrong above the line that it is about, for the next turn."""
        begin, end = _REMARKS[self._stored.language]
        found = _LINE.match(error.why)
        lines = self._text.splitlines(keepends=True)
        at = min(int(found[1]) - 1 if found else 0, len(lines))
        what = f"{error.what}: {error.why}".replace("\n", " ").replace("--", "- -")
        self._text = "".join([*lines[:at], f"{begin}{what}{end}\n", *lines[at:]])

    def settled(self) -> None:
        """It was applied, or is not wanted: there is nothing to keep."""
        self.edited = None


@asynccontextmanager
async def editing(name: str, stored: DefinitionText, begin: str = "") -> AsyncIterator[Edit]:
    """An edit of the definition of the VM of that name, with a private file for the editor.

    What was edited and is not settled at an error is kept; the error says where.
    """
    # What a killed editor leaves is there for the rest of the session, and nobody else's.
    with tempfile.TemporaryDirectory(prefix="vmtui-edit-", dir=scratch()) as folder:
        edit = Edit(stored, Path(folder), begin or stored.text)
        try:
            yield edit
        except VmtuiError as error:
            if edit.edited is not None:
                kept = await whole_in_thread(_keep, name, edit.edited)
                raise _with_hint(
                    error, f"The edit is kept: vmtui edit {name} --from {kept}"
                ) from error
            raise
        except BaseException:
            if edit.edited is not None:
                edit.kept_in = _keep(name, edit.edited)
            raise


def check_text(text: str) -> None:
    """Raise InputError, with the line, for bytes that were no text."""
    for number, line in enumerate(text.splitlines(), 1):
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise InputError("this is no text", why=f"line {number}: it is not UTF-8") from error


def editor() -> list[str]:
    """The command of the user's editor. Raises MissingError."""
    wanted = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if wanted:
        return shlex.split(wanted)
    for program in EDITORS:
        if shutil.which(program):
            return [program]
    raise MissingError("there is no editor", hint="Set EDITOR to the one that you use.")


def _read(file: Path) -> str:
    # An editor may take an empty file away.
    return file.read_text("utf-8", _AS_IT_IS) if file.exists() else ""


def _without_remarks(text: str, language: Language) -> str:
    begin = _REMARKS[language][0]
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(begin))


def _keep(name: str, edited: DefinitionText) -> str:
    """Write it to a file of its own; gives its path as a shell takes it."""
    folder = platformdirs.user_state_path("vmtui") / "edits"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stem = name.replace("/", "_") + time.strftime("-%Y%m%d-%H%M%S")
    path = folder / f"{stem}.{edited.language}"
    write_whole(path, edited.text.encode("utf-8", _AS_IT_IS))
    return shlex.quote(str(path))


def _with_hint(error: VmtuiError, more: str) -> VmtuiError:
    hint = f"{error.hint}\n{more}" if error.hint else more
    return type(error)(error.what, why=error.why, hint=hint)
