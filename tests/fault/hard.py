"""How hard the tests try: a little each time, and more with `make hard`."""

from __future__ import annotations

import os

KILLS = int(os.environ.get("VMTUI_HARD") or 20)
"""How often vmtui is killed in all."""

EXAMPLES = 5 * KILLS
"""What each reader of files and answers is given."""
