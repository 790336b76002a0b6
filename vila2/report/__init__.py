"""The report of a run: one self-contained HTML page, and the summary table for terminals and READMEs."""
