"""What a guest printed before, made fit to be shown on a terminal that would answer it. Pure."""

from __future__ import annotations

import re

# What a terminal answers, or acts on beyond its own screen: an answer would be typed into the
# guest. That is ENQ, identifications and reports, and all strings (titles, clipboard, palettes,
# graphics), which the end of what is kept may also have cut in two.
_ASKING = re.compile(
    rb"\x05|\x1bZ"
    rb"|\x1b\[[0-9;?>=]*[cnx]"
    rb"|\x1b\[[0-9;?>=]*[$*][pwy]"
    rb"|\x1b\[\?[0-9;]*[muS]"
    rb"|\x1b\[>[0-9;]*q"
    rb"|\x1b\[(?:1[1-9]|2[01])(?:;[0-9;]*)?t"
    rb"|\x1b[]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)?"
)


def harmless(history: bytes) -> bytes:
    """Without anything that the terminal would answer."""
    return _ASKING.sub(b"", history)
