"""Outputs read again: compared with their input, or reused for rows that have not changed."""
