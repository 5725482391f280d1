"""What is inside layers: listings of their files, and reading one file of many."""
