"""What the engine knows and doesn't tell, of that which is saved with the cursor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Shadow:
    """The part of a terminal's state that DECSC saves beside the cursor and the colours."""

    g0: str = "B"
    g1: str = "B"
    shifted: bool = False
    """G1 is in use."""
    origin: bool = False
    wrap: bool = True
    decorated: bool = False
    """Printed blanks look different from erased ones: underline, inverse or strike is on."""

    @property
    def drawing(self) -> bool:
        """Whether letters are printed as lines."""
        return (self.g1 if self.shifted else self.g0) == "0"

    def after(self, text: str) -> Shadow:
        """With the last shift in it done."""
        out, in_ = text.rfind("\x0e"), text.rfind("\x0f")
        shifted = self.shifted if out == in_ else out > in_
        return self if shifted == self.shifted else replace(self, shifted=shifted)

    @property
    def charsets(self) -> str:
        """The sequences that choose these."""
        return f"\x1b({self.g0}\x1b){self.g1}" + ("\x0e" if self.shifted else "\x0f")


# There are few of them, and programs change between them all the time.
@lru_cache(maxsize=512)
def designated(shadow: Shadow, name: str) -> Shadow:
    """With another character set: "(" or ")" for G0 or G1, and its letter."""
    return replace(shadow, g0=name[1]) if name[0] == "(" else replace(shadow, g1=name[1])


@lru_cache(maxsize=512)
def decorated(shadow: Shadow, *, on: bool) -> Shadow:
    """With decorations or without."""
    return replace(shadow, decorated=on)
