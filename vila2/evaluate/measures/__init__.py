"""Measures: scores of single items, their intervals, and the formulas of the field."""
