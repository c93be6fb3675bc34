"""Files to files: all inputs, one model, exactly once."""
