"""Specialists: made from the generalist by a plugin, asked about the images, and scored (VILA2 section 2.2)."""
