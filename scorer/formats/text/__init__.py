"""What the text formats share: encodings, compression, dialects, cells, columns."""
