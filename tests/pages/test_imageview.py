"""What pages say of an image's config: steps as a Dockerfile's, secrets masked, all of it short."""

from __future__ import annotations

import time

import pytest

from builder.oci.image import HistoryEntry, ImageConfig
from builder.oci.secrets import is_secret
from builder.pages.imageview import MASK, env_pairs, instruction, instructions, mask_text, pairs


@pytest.mark.parametrize(
    "name",
    ["DB_PASSWORD", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "API_KEY", "APIKEY", "PGPASSWORD",
     "dbPassword", "MYSQL_ROOT_PASSWORD", "ssh-private-key", "CREDENTIALS", "SECRET_KEY_BASE"],
)  # fmt: skip
def test_secret_names(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["KEYCLOAK_VERSION", "GPG_KEY", "MONKEY", "PYTHON_KEYRING_BACKEND", "APT_KEYRING", "keywords",
     "keyboard-layout", "DB_PASSWORD_FILE", "TOKENIZERS_PARALLELISM", "PATH", "SECRETARY", ""],
)  # fmt: skip
def test_names_that_hide_nothing(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("recorded", "comment", "shown"),
    [
        ("RUN /bin/bash -o pipefail -c set -e; make # buildkit", "", "RUN set -e; make"),
        ("RUN /bin/sh -c apk add git # buildkit", "", "RUN apk add git"),
        ("RUN |1 A=1 /bin/bash -euxo pipefail -c make # buildkit", "", "RUN make"),
        ('/bin/sh -c #(nop)  CMD ["sh"]', "", 'CMD ["sh"]'),
        ("jib-maven-plugin:3.4.0", "classes", "# jib-maven-plugin:3.4.0 (classes)"),
        ("", "imported", "# imported"),
        ("", "", "# a step without a record"),
        ("ENV KEYCLOAK_VERSION=26.0", "", "ENV KEYCLOAK_VERSION=26.0"),
        ("ENV DB_PASSWORD=hunter2 A=1", "", f"ENV DB_PASSWORD={MASK} A=1"),
        ("ENV DB_PASSWORD hunter2 and more", "", f"ENV DB_PASSWORD {MASK}"),
        ("RUN /bin/sh -c X --token=abc 'A=b' API_KEY=\"x y\"", "",
         f"RUN X --token={MASK} 'A=b' API_KEY={MASK}"),
        ("RUN curl --keyserver=hkps://keys.example.org x", "",
         "RUN curl --keyserver=hkps://keys.example.org x"),
    ],
)  # fmt: skip
def test_a_step_of_the_history(recorded: str, comment: str, shown: str) -> None:
    assert instruction(HistoryEntry(recorded, comment)) == shown


def test_long_values_are_cut() -> None:
    (label,) = pairs({"x": "y" * 40_000})
    assert label.value.endswith("… (40,000 characters)")
    assert len(label.value) < 2_100
    (variable,) = env_pairs([f"A={'b' * 40_000}"])
    assert len(variable.value) < 2_100
    config = ImageConfig(history=(HistoryEntry("RUN " + "x" * 40_000),))
    ((text, _),) = instructions(config)
    assert len(text) < 2_100


@pytest.mark.parametrize("part", ["a.", "a=", "a='", 'a="', " ", "-", "|1 ", "/bin/sh ", "\\"])
def test_no_text_takes_long(part: str) -> None:
    started = time.process_time()
    text = part * (1_000_000 // len(part)) + "x"
    mask_text(text)
    instruction(HistoryEntry(text, text))
    instruction(HistoryEntry(f"/bin/bash{text}"))
    assert time.process_time() - started < 1
