"""Measures: scores of single items, their intervals, and the formulas that make them."""
