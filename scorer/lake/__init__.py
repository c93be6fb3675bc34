"""Tables of a lake: told by what lies in a directory, and Delta's log read by `deltalake`."""
