"""What runs wrote, as one page that opens anywhere."""
