"""Keys of a guest's keyboard, their combinations, and the layouts that texts are typed by."""

from vmtui.keyboards.keys import KEYS, Chord, chord, known
from vmtui.keyboards.layouts import LAYOUTS, Layout, layout, text_to_keys

__all__ = ["KEYS", "LAYOUTS", "Chord", "Layout", "chord", "known", "layout", "text_to_keys"]
