"""Controls: the recipe with a few settings changed."""
