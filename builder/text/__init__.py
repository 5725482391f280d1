"""Markdown from strangers to safe HTML."""
