"""A bundle on disk: metadata, card and files."""
