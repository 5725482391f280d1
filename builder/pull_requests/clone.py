"""A clone to commit in that is thrown away after: no hooks, no filters, no links, no prompts.

Git is run without a shell, and what somebody chose is never taken for an
option. The user's own repository is never checked out or committed in; it
only gets a branch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from builder import git
from builder.errors import BuilderError, LocalError, RemoteError, UsageError
from builder.pull_requests.origin import Origin

_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}
_CONFIG = ("core.hooksPath=/dev/null", "core.symlinks=false", "core.autocrlf=false",
           "core.safecrlf=false", "submodule.recurse=false")  # fmt: skip
_ATTRIBUTES = "* -text -filter -ident -working-tree-encoding\n"  # bytes stay as they are
_NOBODY = {
    "GIT_AUTHOR_NAME": "builder submit",
    "GIT_AUTHOR_EMAIL": "builder-submit@invalid",
    "GIT_COMMITTER_NAME": "builder submit",
    "GIT_COMMITTER_EMAIL": "builder-submit@invalid",
}


class Clone:
    """A clone of `origin` in the new folder `folder`, at the branch `base`, empty for its HEAD.

    `base` is that branch's name, `start` its commit. Raises RemoteError, or
    LocalError for a folder's, when git cannot clone.
    """

    def __init__(self, origin: Origin, folder: Path, base: str = "") -> None:
        self.folder = folder
        self._origin = origin
        config = [word for item in _CONFIG for word in ("--config", item)]
        which = [f"--branch={base}"] if base else []
        shallow = [] if origin.folder is not None else ["--depth=1"]
        self._do(
            folder.parent, "clone", "--quiet", "--no-checkout", "--single-branch", "--no-tags",
            "--template=", "--no-recurse-submodules", *shallow, *config, *which, "--", origin.text,
            os.fspath(folder),
        )  # fmt: skip
        attributes = folder / ".git/info/attributes"
        attributes.parent.mkdir(exist_ok=True)
        attributes.write_text(_ATTRIBUTES)
        head = self._run(folder, "symbolic-ref", "--short", "HEAD")
        start = self._run(folder, "rev-parse", "--verify", "HEAD^{commit}")
        if head.returncode or start.returncode:
            hint = "name a branch of it with --base"
            raise UsageError("the registry's repository has no branch with a commit there", hint)
        self.base = os.fsdecode(head.stdout).strip()
        self.start = os.fsdecode(start.stdout).strip()

    @property
    def url(self) -> str:
        """The address of the repository that people see; empty for a folder without one."""
        if self._origin.folder is None:
            return self._origin.text
        done = self._run(self._origin.folder, "remote", "get-url", "origin")
        return done.stdout.decode("utf-8", "replace").strip() if not done.returncode else ""

    def begin(self, branch: str, *, replace: bool) -> None:
        """Check out a new branch; raises UsageError for a name that cannot be, or is taken."""
        if branch == self.base:
            raise UsageError(f"--branch {branch}: is the branch that is proposed to")
        if self._run(self.folder, "check-ref-format", "--branch", branch).returncode:
            raise UsageError(f"--branch {branch}: git takes no such name")
        if not replace and self._has(branch):
            hint = "choose another with --branch, or --replace what an earlier run made"
            raise UsageError(f"the branch {branch} is there already", hint)
        self._do(self.folder, "checkout", "--quiet", "--no-track", "-B", branch)

    def commit(self, paths: Iterable[str], message: str) -> str:
        """Commit files, given from the repository's top, and nothing else; return the commit."""
        self._do(self.folder, "add", "--force", "--", *paths)
        done = self._run(
            self.folder, "commit", "--quiet", "--no-verify", "--file=-", feed=message.encode(),
            more={} if self._knows_who() else _NOBODY,
        )  # fmt: skip
        self._expect(done.returncode, "commit", done.stdout + done.stderr)
        return self._do(self.folder, "rev-parse", "--verify", "HEAD")

    def changed(self) -> tuple[str, ...]:
        """Return the paths that were committed since the base, from the repository's top."""
        found = self._do(self.folder, "diff", "--name-only", "-z", self.start, "HEAD", "--")
        return tuple(path for path in found.split("\0") if path)

    def deliver(self, branch: str, *, push: bool, replace: bool) -> None:
        """Give the branch to the repository: to the folder that was cloned, or by a push.

        A folder's branch is pushed on to its `origin` with `push`. Raises
        RemoteError when that is refused.
        """
        force = "+" if replace else ""
        refs = f"{force}refs/heads/{branch}:refs/heads/{branch}"
        local = self._origin.folder
        if local is not None:
            self._do(
                local, "fetch", "--quiet", "--no-tags", "--no-recurse-submodules",
                "--no-write-fetch-head", "--", os.fspath(self.folder), refs,
            )  # fmt: skip
        if push:
            where = self.folder if local is None else local
            self._do(where, "push", "--quiet", "--no-verify", "--recurse-submodules=no", "--",
                     "origin", refs)  # fmt: skip

    def _has(self, branch: str) -> bool:
        ref = f"refs/heads/{branch}"
        if self._origin.folder is not None:
            done = self._run(self._origin.folder, "show-ref", "--verify", "--quiet", "--", ref)
            return not done.returncode
        return bool(self._do(self.folder, "ls-remote", "--heads", "--", "origin", ref))

    def _knows_who(self) -> bool:
        """Tell whether git has a name for who commits, and need not make one of the machine's."""
        if os.environ.get("GIT_COMMITTER_EMAIL") and os.environ.get("GIT_AUTHOR_EMAIL"):
            return True
        return not self._run(self.folder, "config", "user.email").returncode

    def _do(self, folder: Path, *arguments: str) -> str:
        """Return what git prints; raises an error with what it said when it fails."""
        done = self._run(folder, *arguments)
        self._expect(done.returncode, arguments[0], done.stderr)
        return os.fsdecode(done.stdout).strip()

    def _run(self, folder: Path, *arguments: str, feed: bytes = b"",
             more: dict[str, str] | None = None) -> git.Done:  # fmt: skip
        environment = {**_ENVIRONMENT, **(more or {})}
        return git.run(folder, *arguments, feed=feed, environment=environment)

    def _expect(self, status: int, verb: str, said: bytes) -> None:
        if not status:
            return
        words = " ".join(said.decode("utf-8", "replace").split())[-500:]
        error: type[BuilderError] = RemoteError
        if self._origin.folder is not None and verb != "push":
            error = LocalError
        raise error(f"git {verb}: {words or 'failed'}", "see that git can do this by itself")
