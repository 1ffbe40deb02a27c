"""Pages, manual and completion that are made of vmtui itself: its parser, actions and settings."""
