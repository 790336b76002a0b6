"""Data that means harm: files that never end, bombs, paths that lead out, text that is no text."""
