"""Images from and to files, folders, archives and other registries: one module for each form."""
