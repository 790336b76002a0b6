"""What must fit together across a recipe."""
