"""The checks before the first work of a run."""
