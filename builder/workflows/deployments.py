"""Where CI can put a site: the commands for each target, and what they must be told.

The commands are the same on every CI: they run in the registry's folder,
after the builder was installed, with secrets and variables in the
environment. They leave no secret in an argument where a program takes it
from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_BUILD = """\
builder build -t {target} -d _site --baseurl "" \\
  --url "${{REGISTRY_URL:?set this variable to the address of the site}}"
"""


@dataclass(frozen=True, slots=True)
class Deployment:
    """How a built site gets to a kind of host.

    `put` are shell lines that take the site from `_site`; `secrets` and
    `variables` are names that CI gives them, `packages` the Debian packages
    whose programs they run.
    """

    put: str
    secrets: tuple[str, ...]
    variables: tuple[str, ...]
    packages: str = ""

    def commands(self, target: str) -> str:
        """Return the shell lines that build the site for `target` and put it there."""
        return _BUILD.format(target=target) + self.put


# Where a host's own program uploads, it is pinned: npm's packages by version.
DEPLOYMENTS: Mapping[str, Deployment] = {
    "netlify": Deployment(
        "npx --yes netlify-cli@27.10.2 deploy --prod --no-build --dir _site \\\n"
        '  --site "$NETLIFY_SITE"\n',
        ("NETLIFY_AUTH_TOKEN",),
        ("NETLIFY_SITE",),
        "npm",
    ),
    "cloudflare-pages": Deployment(
        "npx --yes wrangler@4.164.0 pages deploy _site --branch main \\\n"
        '  --project-name "$CLOUDFLARE_PROJECT"\n',
        ("CLOUDFLARE_API_TOKEN",),
        ("CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_PROJECT"),
        "npm",
    ),
    "vercel": Deployment(
        'npx --yes vercel@64.0.2 deploy _site --prod --yes --token "$VERCEL_TOKEN"\n',
        ("VERCEL_TOKEN",),
        ("VERCEL_ORG_ID", "VERCEL_PROJECT_ID"),
        "npm",
    ),
    "firebase": Deployment(
        'GOOGLE_APPLICATION_CREDENTIALS="$(mktemp)"\n'
        "export GOOGLE_APPLICATION_CREDENTIALS\n"
        'printf "%s" "$FIREBASE_ACCOUNT" > "$GOOGLE_APPLICATION_CREDENTIALS"\n'
        "npx --yes firebase-tools@15.34.2 deploy --only hosting --non-interactive \\\n"
        '  --project "$FIREBASE_PROJECT" --config _site/firebase.json\n',
        ("FIREBASE_ACCOUNT",),
        ("FIREBASE_PROJECT",),
        "npm",
    ),
    "s3": Deployment(
        'builder publish "$PUBLISH_TO" -d _site \\\n'
        '  ${PUBLISH_ENDPOINT:+--endpoint "$PUBLISH_ENDPOINT"}\n',
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_REGION", "PUBLISH_ENDPOINT", "PUBLISH_TO"),
    ),
}
