"""Screens: what is shown together, and what its keys do."""
