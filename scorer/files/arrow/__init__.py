"""Arrow IPC, the file format (Feather version 2) and the stream."""
