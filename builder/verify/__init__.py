"""Fetching and hashing again all that a published site leads to."""
