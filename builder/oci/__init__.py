"""The nouns of the OCI specifications, and the media they are read from."""
