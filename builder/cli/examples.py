"""Examples of each command, shown at the end of its help.

They stand together, so that one test can read every line as the command
line itself would.
"""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "new": ("builder new my-registry",),
    "doctor": ("builder doctor", "builder doctor --json"),
    "build": ("builder build", "builder build -t nginx -d /tmp/site", "builder build --shard 2/3"),
    "join": ("builder join _site.1-of-2 _site.2-of-2", "builder join parts -t nginx"),
    "serve": ("builder serve", "builder serve -P 8000 -t github-pages"),
    "check": ("builder check", "builder check --strict --json", "builder check --base origin/main"),
    "list": ("builder list", "builder list --tags", "builder list --json"),
    "history": (
        "builder history team/tool",
        "builder history team/tool --from https://registry.example.org",
    ),
    "theme": ("builder theme list", "builder theme eject _includes/tags.html"),
    "yank": (
        'builder yank team/tool:1.0 "reads files of other users"',
        "builder yank team/tool:1.0 --undo",
    ),
    "inspect": (
        "builder inspect team/tool",
        "builder inspect team/tool:1.0 --files",
        "builder inspect team/tool:1.0 --raw",
    ),
    "add": (
        "builder add oci:FOLDER team/tool:1.0",
        "builder add docker://HOST/NAME:TAG team/tool:1.0 --files",
        "builder add file:data.csv file:notes.txt team/data:2025.1",
        "builder add sif:tool.sif team/tool:1.0",
    ),
    "sync": ("builder sync --dry-run", "builder sync", "builder sync 'mirror/*' --json"),
    "publish": (
        "builder publish /srv/registry -t nginx",
        "builder publish s3://BUCKET --prune",
        "builder publish s3://BUCKET --only v2 --dry-run",
    ),
    "push": (
        "builder push team/tool:1.0 docker://HOST/team/tool",
        "builder push team/tool docker://HOST/team/tool --all-tags",
    ),
    "export": (
        "builder export team/tool:1.0 oci:FOLDER",
        "builder export team/tool:1.0 docker-archive:- | docker load",
    ),
    "bundle": (
        "builder bundle public team/app:1.0",
        "builder bundle public team/app:1.0 --spa --split",
    ),
    "attach": (
        "builder attach team/tool:1.0 sbom.spdx.json",
        "builder attach team/tool:1.0 report.txt --annotation author=team",
    ),
    "tag": ("builder tag team/tool:1.0 latest",),
    "untag": ("builder untag team/tool:1.0",),
    "rm": ("builder rm team/tool:1.0", "builder rm team/tool --dry-run"),
    "mv": ("builder mv team/tool team/instrument",),
    "du": ("builder du", "builder du team/tool --json"),
    "submit": (
        "builder submit oci:FOLDER team/tool:1.0 --registry ../registry",
        "builder submit image.tar team/tool:1.0 --registry https://HOST/PATH.git --push",
    ),
    "migrate": ("builder migrate ../old-registry --dry-run", "builder migrate ../old-registry"),
    "gc": ("builder gc", "builder gc --delete"),
    "keygen": ("builder keygen ../release.key", "builder keygen ../release.key --show"),
    "recipes": (
        "builder recipes",
        "builder recipes --changed-since origin/main --json",
        "builder recipes build",
        "builder recipes build team/tool:1.0 --engine buildah",
        "builder recipes build --shard 1/4 -j 2",
        "builder recipes plan --json",
        "builder recipes build --plan plan.json --into built",
        "builder recipes accept built --plan plan.json",
    ),
    "proxy": (
        "builder proxy https://HOST/registry",
        "builder proxy https://HOST -P 5001 --no-cache",
    ),
    "verify": (
        "builder verify https://HOST/registry",
        "builder verify _site",
        "builder verify https://HOST https://MIRROR --sample 10",
    ),
    "offload": ("builder offload --dry-run", "builder offload"),
    "workflows": (
        "builder workflows",
        "builder workflows -t netlify --ci github",
        "builder workflows --dry-run",
    ),
    "completion": (
        'eval "$(builder completion bash)"',
        'eval "$(builder completion zsh)"',
        "builder completion fish | source",
    ),
}


def epilog(name: str) -> str | None:
    """Return the end of a command's help."""
    lines = EXAMPLES.get(name)
    # click joins lines into paragraphs, but not after a \b
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines) if lines else None
