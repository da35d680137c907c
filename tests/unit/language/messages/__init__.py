"""What one entry must be: each wrong value with its place, its path, its sentence and its hint. No jargon."""
