"""Verbs over a whole registry: check, gc, usage, migrate, offload."""
