"""Starting VMs with the user's session, or with the machine: units of the user's own systemd."""

from __future__ import annotations

import getpass
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from vmtui.errors import UnsupportedError
from vmtui.files import not_writable, write_whole

WANTS = "default.target.wants"
LINGERING = Path("/var/lib/systemd/linger")
BOOTED = Path("/run/systemd/system")
"""There if systemd runs this machine (sd_booted(3))."""

STOP_TIMEOUT_S = 240
"""More than a shutdown waits for the guest."""

_KEPT_VARIABLES = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")


def unit_name(name: str) -> str:
    """Of the service that starts the VM."""
    return f"vmtui-{name}.service"


def folder() -> Path:
    """Where systemd looks for this user's own units (systemd.unit(5))."""
    config = os.environ.get("XDG_CONFIG_HOME", "")
    home = Path(config) if config.startswith("/") else Path.home() / ".config"
    return home / "systemd" / "user"


def obstacle(booted: Path = BOOTED) -> str:
    """Why no VM can start by itself here; "" if it can."""
    return "" if booted.is_dir() else "systemd, which would start it, does not run this machine"


def hint(lingering: Path = LINGERING) -> str:
    """When it starts, if that is not with the machine; "" else."""
    with suppress(KeyError, OSError):
        if (lingering / getpass.getuser()).exists():
            return ""
    return "It starts when you log in; for a start with the machine: loginctl enable-linger"


def unit(name: str, command: list[str], *, restart: bool) -> str:
    """The service. systemd follows QEMU itself, by its pid file, so it sees how that ends.

    A guest that shuts down ends it well; after a crash it is started again if `restart` says so,
    three times in ten minutes at most.
    """
    program = " ".join(_quoted(word) for word in command)
    lines = [
        "[Unit]",
        f"Description=Virtual machine {name}",
        "Documentation=man:qemu-system-x86_64(1)",
        *(("StartLimitIntervalSec=600", "StartLimitBurst=3") if restart else ()),
        "",
        "[Service]",
        "Type=forking",
        f"PIDFile=%t/vmtui/{name}/qemu.pid",
        *(f"Environment={_quoted(f'{key}={value}')}" for key, value in _environment()),
        f"ExecStart={program} start {name}",
        f"ExecStop={program} shutdown {name}",
        f"TimeoutStopSec={STOP_TIMEOUT_S}",
        *(("Restart=on-failure", "RestartSec=5") if restart else ()),
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "\n".join(lines) + "\n"


def _environment() -> list[tuple[str, str]]:
    return [(key, os.environ[key]) for key in _KEPT_VARIABLES if os.environ.get(key)]


def _quoted(word: str) -> str:
    """As systemd.syntax(7) reads it back, without specifiers."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if text != word or " " in word else word


def own_command() -> list[str]:
    """By which this vmtui is run again."""
    found = shutil.which("vmtui")
    return [found] if found else [sys.executable, "-m", "vmtui"]


def follow(name: str, *, autostart: bool, restart: bool = False) -> None:
    """Make the VM's unit as wanted, enabled by its link, or remove both.

    Blocks. Raises UnsupportedError where no systemd runs, OperationError. That which is there and
    is not vmtui's, a link to elsewhere say, is left alone by a removal that finds no unit.
    """
    if autostart and (why := obstacle()):
        raise UnsupportedError(f"{name} can't be started by itself", why=why)
    units = folder()
    path, link = units / unit_name(name), units / WANTS / unit_name(name)
    try:
        if not autostart:
            link.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            return
        link.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, unit(name, own_command(), restart=restart).encode())
        if not link.is_symlink():
            link.symlink_to(Path("..") / path.name)
    except OSError as error:
        raise not_writable(units, error) from error
