"""From a registry's folder to its site: scan, load, plan, write."""
