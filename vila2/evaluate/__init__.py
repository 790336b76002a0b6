"""Evaluation: measures of text, answers and captions, benchmarks, and their intervals."""
