"""The write half of the registry API: what clients push becomes files of the registry."""
