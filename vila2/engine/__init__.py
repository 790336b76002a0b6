"""Engines, which turn images and a prompt into text."""
