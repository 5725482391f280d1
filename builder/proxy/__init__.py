"""A registry in front of a static site whose host cannot set headers."""
