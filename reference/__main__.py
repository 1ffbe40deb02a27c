"""Writes the reference: `make reference`."""

from __future__ import annotations

from pathlib import Path

from reference.files import FILES

ROOT = Path(__file__).parents[1]


def main() -> None:
    """All of it, anew."""
    for path, made in FILES.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(made(), "utf-8")


if __name__ == "__main__":
    main()
