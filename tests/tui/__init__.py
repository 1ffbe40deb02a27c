"""Tests of the interface, on the demo backend."""
