"""CI files: what checks proposals, builds recipes, deploys the site and verifies it."""
