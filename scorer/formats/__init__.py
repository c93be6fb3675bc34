"""File formats: texts are read from them, and the same bytes are written with new columns."""
