"""Reads the claims of English texts by rule; evaluation and merge decide whether they are true."""
