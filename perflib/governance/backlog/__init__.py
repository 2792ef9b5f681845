"""What to do next, what not, and what it would give."""
