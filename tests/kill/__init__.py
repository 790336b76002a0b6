"""Faults in the middle of a job's file operations: what is lost, and what a second call makes of it."""
