"""Mirrors: what `registry.sync` takes from other registries, planned and brought up to date."""
