"""Inputs and outputs that are URLs; nothing here is loaded for local files."""
