"""Page layouts: Jinja templates, their filters, and what each depends on."""
