"""Adapters to engines that spread rows over processes and machines, one file each.

The engine reads, cuts, moves, retries and writes; each of its processes scores by `per_process`.
"""
