"""The run report, drift against the baseline, and metrics."""
