"""What each kind of page shows, and its rendering."""
