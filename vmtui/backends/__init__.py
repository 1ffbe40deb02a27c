"""The seam and its implementations."""
