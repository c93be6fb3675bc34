"""Holds an output against its input and its run report, and scores a sample again."""
