"""A run: its steps, its folder, and how far it has come."""
