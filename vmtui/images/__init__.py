"""Guest images: the embedded micro image, and what a user's image really is."""
