"""The program: `vmtui`, and `python -m vmtui`."""

import gc

# Nearly all that is made while a command starts is modules, which stay: Python's collector would
# look through them again and again, and once more at the end, for a tenth of a command's time.
LOADING_THRESHOLDS = (50_000, 10, 10)


def run() -> int:
    """As `vmtui.cli.main`, for a process of its own."""
    gc.set_threshold(*LOADING_THRESHOLDS)
    from vmtui.cli import main  # noqa: PLC0415

    try:
        return main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    raise SystemExit(run())
