"""The site's own files: found, parsed, dated."""
