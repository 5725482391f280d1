"""From an output tree to a folder: compare, make what changed, write in a safe order."""
