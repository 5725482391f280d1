"""What the registry holds: collections, tags, and their endpoints."""
