"""Verify and merge: original, best self layer and specialists as one conversation (VILA² 2.2.2)."""
