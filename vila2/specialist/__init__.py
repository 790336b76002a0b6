"""Specialists: made from a generalist and a plugin, asked about images, and scored (VILA² section 2.2)."""
