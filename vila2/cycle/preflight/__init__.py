"""What is checked before the first work of a run."""
