"""Reads and writes files: discover, CSV and Parquet, parts, rejects, publish."""
