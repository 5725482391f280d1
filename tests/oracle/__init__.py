"""Whatever was edited, and in whatever order: a site built anew elsewhere is the same.

Seeded random edits of every kind, one after another; after each the incremental
build, here, and a first build of the same files, elsewhere, must agree in all
that anybody can see. `make oracle` runs as many as are wanted.
"""
