"""Static web apps as OCI artifacts: bundling, unpacking, serving."""
