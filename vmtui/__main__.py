"""`python -m vmtui`."""

from vmtui.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
