"""Fuzzing of everything that reads bytes from elsewhere: only errors that say what is wrong may come out."""
