"""Putting a built site where people reach it, and saying what was put there."""
