"""Adapters to engines that spread rows over processes and machines, one file each.

The engine reads, cuts, moves, retries and writes; a process of it does what `per_process` says.
"""
