"""NDJSON, also called JSON Lines."""
