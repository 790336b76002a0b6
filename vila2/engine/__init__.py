"""Engines: what turns images and a prompt into text."""
