"""`keygen`, and keys from files, variables and configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from builder.cli import run
from builder.config import Flags, load_config
from builder.errors import ContentError, LocalError
from builder.publish.signing import VARIABLE, find_public_key, find_signing_key, load_signing_key

Capture = pytest.CaptureFixture[str]


def test_a_key_is_made_once_and_shown_again(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "release.key"
    assert run(["keygen", str(file)]) == 0
    said = capsys.readouterr()
    public = said.out.strip()
    assert f"keys: [{public}]" in said.err
    assert file.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in said.out + said.err
    assert run(["keygen", "--show", "--json", str(file)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["public"], len(shown["id"])) == (public, 16)
    before = file.read_bytes()
    assert run(["keygen", str(file)]) == 2
    assert file.read_bytes() == before


def test_where_a_key_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "key"
    run(["keygen", str(file)])
    public = load_signing_key(str(file)).public
    for text in (file.read_text(), f" {file.read_text()}"):
        found = find_signing_key("", {VARIABLE: text})
        assert found is not None
        assert found.public == public
    assert find_signing_key("", {}) is None
    assert find_public_key(public.text) == public
    (tmp_path / "public").write_text(public.text + "\n")
    assert find_public_key(str(tmp_path / "public")) == public


def test_what_is_no_key(tmp_path: Path) -> None:
    secret = "bm90IGEga2V5IGF0IGFsbA=="
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    ).decode()
    plain = other.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    for text, words in (
        (secret, "is not an Ed25519 key"),
        ("-----BEGIN nonsense", "not a private key in PEM"),
        (pem, "is encrypted"),
        (plain, "another kind"),
    ):
        with pytest.raises(ContentError) as caught:
            find_signing_key("", {VARIABLE: text})
        assert words in str(caught.value)
        assert text not in str(caught.value)
    (tmp_path / "secret").write_text(plain)
    with pytest.raises(ContentError, match="is a private key"):
        find_public_key(str(tmp_path / "secret"))
    with pytest.raises(LocalError, match="neither a key nor a file here"):
        find_public_key(str(tmp_path / "nowhere"))


def test_configured_keys_are_looked_at(registry: Path) -> None:
    good = "A" * 43 + "="
    (registry / "_config.yml").write_text(f"registry:\n  keys: [{good}]\n")
    assert load_config(Flags(str(registry)), {}).keys == (good,)
    (registry / "_config.yml").write_text("registry:\n  keys:\n    - abc\n    - 12\n")
    with pytest.raises(ContentError) as caught:
        load_config(Flags(str(registry)), {})
    assert len(caught.value.problems) == 2


def test_no_key_is_made_where_it_would_be_published(
    greeting: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(greeting / "collections")
    for name in ("release.key", "../release.key", str(greeting / "collections/vanessa/key")):
        assert run(["keygen", name]) == 2
        said = capsys.readouterr()
        assert "which is committed and published" in said.err
        assert str(greeting.parent / "release.key") in said.err
        assert not Path(name).exists()
    assert run(["keygen", "../../release.key"]) == 0
