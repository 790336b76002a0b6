"""Checks of a recipe across its parts."""
