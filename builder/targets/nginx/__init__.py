"""nginx: maps, locations and lists from the published tree."""
