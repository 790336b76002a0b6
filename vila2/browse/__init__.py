"""A local page to look at a dataset with all its layers, and to correct what they say."""
