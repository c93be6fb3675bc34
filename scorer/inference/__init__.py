"""Texts to labels and scores: a bundle opened, texts prepared, batches planned, answers checked."""
