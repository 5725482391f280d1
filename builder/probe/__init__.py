"""Asking a deployed site what its clients can do with it."""
