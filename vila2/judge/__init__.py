"""The judge: an engine or a person tells which of two layers describes an image better."""
