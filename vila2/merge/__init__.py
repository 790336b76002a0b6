"""Verify and merge: the original, the best self layer and every specialist's exchanges as one conversation (VILA² 2.2.2)."""
