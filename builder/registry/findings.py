"""What reading one collection has found so far: its content, and what is wrong with it."""

from __future__ import annotations

from builder.errors import ContentError, Problem
from builder.oci.descriptor import Descriptor
from builder.oci.manifest import Manifest
from builder.registry.content import ContentIndex, Missing
from builder.registry.model import RegistryOptions
from builder.storage.cache import Cache


class Findings:
    """The content of a collection, and its problems; both grow while it is read.

    `warnings` are what the collection's page says.
    """

    def __init__(self, options: RegistryOptions, name: str, cache: Cache) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.content = ContentIndex(options, name, cache, self.problems.append)
        self._options = options

    def complete(self, manifest: Manifest, origin: str, what: str) -> bool:
        """Gather everything a manifest needs; tell whether it is all somewhere.

        What is broken or missing is a problem. Raises Unverifiable.
        """
        try:
            self.content.complete(manifest, origin)
        except ContentError as error:
            self.problems.extend(error.problems)
        except Missing as missing:
            self.lacks(origin, what, missing.descriptor)
            return False
        return True

    def lacks(self, origin: str, what: str, gone: Descriptor) -> None:
        """Say that `what` needs content which is found nowhere."""
        message = f"{what} needs {gone.digest} ({gone.size} bytes), which is not here"
        there = "set registry.blobs, " if self._options.companions.redirects else ""
        hint = f"add the image again, {there}or build with --allow-missing"
        allowed = self._options.allow_missing
        self.problems.append(Problem(origin, message=message, hint=hint, warning=allowed))

    def leave_out(self, origin: str, what: str, why: str) -> None:
        """Say on the collection's page, and as a warning, what of it is not published."""
        text = f"{what} is left out: {why}"
        self.warnings.append(text)
        self.problems.append(Problem(origin, message=text, warning=True))
