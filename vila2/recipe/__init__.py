"""Recipes: the YAML file of a whole run, as typed values."""
