"""Where CI can put a site and layers: what each place must be told, and the script that does it.

A script is the same on every CI. It runs in the registry's folder, after the
builder was installed, with secrets and variables in the environment, and
leaves no secret in an argument where a program takes it from elsewhere.
Programs of the hosts are pinned in it, npm's packages by version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deployment:
    """How a built site, or layers, get to a kind of host.

    `script` names a template of shell lines, empty for none; `secrets` and `variables` are
    names that CI must give it, `packages` the Debian packages that it needs.
    """

    script: str
    secrets: tuple[str, ...]
    variables: tuple[str, ...]
    packages: str = ""


_SERVER = Deployment(
    "server.sh",
    ("SSH_KEY", "BUILDER_SIGNING_KEY"),
    ("PUBLISH_TO", "RELOAD", "SSH_KNOWN_HOSTS", "SSH_PORT"),
    "openssh-client sshfs",
)
DEPLOYMENTS: Mapping[str, Deployment] = {
    "netlify": Deployment("netlify.sh", ("NETLIFY_AUTH_TOKEN",), ("NETLIFY_SITE",), "npm"),
    "cloudflare-pages": Deployment(
        "cloudflare-pages.sh",
        ("CLOUDFLARE_API_TOKEN",),
        ("CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_PROJECT"),
        "npm",
    ),
    "vercel": Deployment(
        "vercel.sh", ("VERCEL_TOKEN",), ("VERCEL_ORG_ID", "VERCEL_PROJECT_ID"), "npm"
    ),
    "firebase": Deployment("firebase.sh", ("FIREBASE_ACCOUNT",), ("FIREBASE_PROJECT",), "npm"),
    "s3": Deployment(
        "s3.sh",
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "BUILDER_SIGNING_KEY"),
        ("AWS_ENDPOINT_URL", "AWS_REGION", "PUBLISH_TO"),
    ),
    "nginx": _SERVER,
    "caddy": _SERVER,
    "apache": _SERVER,
}

# By how `registry.blobs` begins: where recipes' layers are brought to. A release of GitHub is
# written with the job's own token.
LAYER_STORES: Mapping[str, Deployment] = {
    "s3": Deployment(
        "unset.sh",
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_ENDPOINT_URL", "AWS_REGION"),
    ),
    "gs": Deployment("account.sh", ("GOOGLE_ACCOUNT",), ()),
    "az": Deployment("", ("AZURE_STORAGE_ACCOUNT_KEY",), ("AZURE_STORAGE_ACCOUNT_NAME",)),
    "docker": Deployment("login.sh", ("LAYERS_PASSWORD",), ("LAYERS_HOST", "LAYERS_USER")),
}
