"""What a run leaves behind for those who were asleep."""
