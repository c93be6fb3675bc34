"""Files: formats that are read and written, durable state, outputs that are read again."""
