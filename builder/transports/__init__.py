"""Ways to bring images in and to copy them out."""
