"""Export: a dataset and its layers as files that other trainers and tools read."""
