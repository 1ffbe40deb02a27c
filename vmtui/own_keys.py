"""The public SSH keys that this user can log in with."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from vmtui.command import run
from vmtui.errors import VmtuiError

AGENT_TIMEOUT_S = 2.0
_KEY_LIMIT_BYTES = 16 * 1024
_STARTS = ("ssh-", "ecdsa-", "sk-")


async def own_keys(home: Path | None = None) -> tuple[str, ...]:
    """Those in `~/.ssh` and those that the agent has, each once; none is no error."""
    found = await asyncio.to_thread(_in_files, (home or Path.home()) / ".ssh")
    if os.environ.get("SSH_AUTH_SOCK"):
        with suppress(VmtuiError):  # an agent that is gone, or has no keys
            found += (await run("ssh-add", "-L", timeout_s=AGENT_TIMEOUT_S)).splitlines()
    by_key = {key.split()[1]: key for key in reversed(found) if _is_key(key)}
    return tuple(reversed(by_key.values()))


def _in_files(folder: Path) -> list[str]:
    keys: list[str] = []
    for path in sorted(folder.glob("id_*.pub")):
        try:
            if path.stat().st_size <= _KEY_LIMIT_BYTES:
                keys.append(path.read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError):
            continue
    return keys


def _is_key(text: str) -> bool:
    return text.startswith(_STARTS) and len(text.split()) >= 2 and "\n" not in text
