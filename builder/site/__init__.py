"""Pages: discover, parse, plan, render."""
