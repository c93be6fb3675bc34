"""Graphs: exported by Optimum, rewritten, and their weights as external data."""
