"""Verbs over a whole registry."""
