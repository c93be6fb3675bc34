"""What a file says of itself, read before a library opens it; bounds against hostile files."""
