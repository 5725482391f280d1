"""Kinds of hosts, one file each."""
