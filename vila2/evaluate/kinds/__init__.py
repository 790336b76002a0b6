"""The kinds of benchmarks, a file each."""
