"""Pull requests: what strangers propose to a registry, judged, and made."""
