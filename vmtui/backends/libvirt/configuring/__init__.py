"""A domain's definition edited in place: what is not edited stays as it is, to the letter."""
