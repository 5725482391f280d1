"""How a built site gets to hosts that have a program, or a way, of their own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

_FOLDER = ("builder publish /srv/registry", "or any other folder that the web server can read")
_BUCKET = ("builder publish s3://BUCKET", "or gs://BUCKET, az://CONTAINER")

# What to run for each target, with {site} for the built folder, and a remark.
_COMMANDS: Mapping[str, tuple[str, str]] = {
    "apache": _FOLDER,
    "caddy": _FOLDER,
    "cloudflare-pages": ("npx wrangler pages deploy {site}", "asks for the project once"),
    "firebase": (
        "npx firebase deploy --only hosting --config {site}/firebase.json",
        "asks for the project once",
    ),
    "github-pages": (
        "git push",
        "a workflow builds it and hands {site} to actions/upload-pages-artifact",
    ),
    "gitlab-pages": (
        "git push",
        "a job called pages runs 'builder build -d public' and keeps public/ as its artifact",
    ),
    "netlify": ("npx netlify deploy --prod --no-build --dir {site}", "asks for the site once"),
    "nginx": _FOLDER,
    "plain": _FOLDER,
    "s3": _BUCKET,
    "vercel": ("npx vercel deploy --prod {site}", "asks for the project once"),
}


def deploy_command(target: str, site: str) -> tuple[str, str] | None:
    """Return what publishes the folder `site` to a target's host, and a remark; None if unknown."""
    found = _COMMANDS.get(target)
    if found is None:
        return None
    command, remark = found
    return command.format(site=shlex.quote(site)), remark.format(site=site)
