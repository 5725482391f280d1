"""Where blobs live."""
