"""Evaluation: benchmarks, measures of answers and captions, and their intervals."""
