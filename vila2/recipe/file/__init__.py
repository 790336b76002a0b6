"""Recipe files: reading, extending, overriding, and reporting problems."""
