"""The judge: an engine or a person says which of two layers describes an image better, and what that amounts to."""
