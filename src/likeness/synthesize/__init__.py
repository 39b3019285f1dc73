"""What the generator answers: one network family per file."""
