"""The thirteen benchmarks of the papers, read from the files that their authors publish."""
