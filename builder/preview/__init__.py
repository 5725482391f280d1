"""The local server behind `builder serve`."""
