"""Who is let in: htpasswd files, good and bad, and what clients say of themselves."""

from __future__ import annotations

import base64
from pathlib import Path

import bcrypt
import pytest

from builder.errors import ContentError, LocalError
from builder.preview.users import Users

# A salt of its own makes the names of tests the same in every process that runs them.
QUICK = bcrypt.hashpw(b"secret", b"$2b$04$abcdefghijklmnopqrstuu").decode()


def basic(text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return f"Basic {base64.b64encode(raw).decode()}"


@pytest.fixture
def users(tmp_path: Path) -> Users:
    file = tmp_path / "users"
    file.write_text(f"# a comment\nanna:{QUICK}\n\nbo:{QUICK.replace('$2b$', '$2y$', 1)}\n")
    return Users.read(file)


@pytest.mark.parametrize("name", ["anna", "bo"])
def test_who_knows_the_password(users: Users, name: str) -> None:
    for _ in range(2):
        assert users.name_of(basic(f"{name}:secret")) == name


@pytest.mark.parametrize(
    "said",
    [
        "", "Basic", "Basic !", "Bearer x", basic("anna"), basic("anna:"), basic("anna:Secret"),
        basic("eve:secret"), basic(":secret"), basic(b"\xff:secret"), basic(b"anna:secret\x00"),
        basic("anna:" + "s" * 100), basic("anna:secret") + "x" * 5000, basic(f"anna:{QUICK}"),
    ],
)  # fmt: skip
def test_who_does_not(users: Users, said: str) -> None:
    assert users.name_of(said) is None


@pytest.mark.parametrize(
    "text",
    ["", "# nobody\n", "anna\n", "anna:secret\n", "anna:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n",
     "anna:$apr1$x$0123456789012345678901\n", f":{QUICK}\n", f"anna:{QUICK}x\n"],
)  # fmt: skip
def test_files_that_let_nobody_in(tmp_path: Path, text: str) -> None:
    file = tmp_path / "users"
    file.write_text(text)
    with pytest.raises(ContentError, match=r"bcrypt|no users"):
        Users.read(file)
    with pytest.raises(LocalError):
        Users.read(tmp_path / "missing")
