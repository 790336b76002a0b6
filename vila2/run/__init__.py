"""The run: its recipe, its steps, and how far it has come."""
