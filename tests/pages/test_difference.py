"""What a tag's page says has changed since the version before."""

from __future__ import annotations

from builder.pages import plan
from builder.pages.difference import Change, Difference, difference
from tests.pages.samples import Maker

OLD = {"Env": ["PATH=/bin", "API_TOKEN=one", "GONE=1"], "User": "root", "Cmd": ["run"],
       "Labels": {"org.example.a": "1"}}  # fmt: skip
NEW = {"Env": ["PATH=/usr/bin", "API_TOKEN=two", "CAME=1"], "User": "nobody", "Cmd": ["run"],
       "Labels": {"org.example.a": "1", "org.example.b": "2"}}  # fmt: skip


def compared(tag: str) -> Difference | None:
    maker = Maker("team/tool")
    maker.tag("1.0", maker.image([("base", 1000), ("old", 70)], config=OLD), created="2024-01-01")
    maker.tag("1.1", maker.image([("base", 1000), ("new", 300)], config=NEW), created="2024-02-01")
    maker.tag("2.0")
    collection = maker.done()
    found = collection.tag(tag)
    assert found is not None
    return difference(collection, found, plan.facts(collection))


def test_layers_and_bytes() -> None:
    found = compared("1.1")
    assert found is not None
    assert (found.previous, found.kept_layers, found.new_layers) == ("1.0", 1, 1)
    assert (found.dropped_layers, found.new_bytes) == (1, 300)
    assert abs(found.grown - (300 - 70)) < 100  # the configs differ in length too


def test_settings_by_name_and_secrets_never() -> None:
    found = compared("1.1")
    assert found is not None
    shown = {(change.kind, change.what): change for change in found.changes}
    assert set(shown) == {
        ("changed", "user"), ("changed", "env PATH"), ("changed", "env API_TOKEN"),
        ("removed", "env GONE"), ("added", "env CAME"), ("added", "label org.example.b"),
    }  # fmt: skip
    assert shown["changed", "user"] == Change("changed", "user", "root", "nobody")
    assert shown["changed", "env PATH"].after == "/usr/bin"
    secret = shown["changed", "env API_TOKEN"]
    assert not {"one", "two"} & {secret.before, secret.after}


def test_what_has_nothing_before_it_is_compared_with_nothing() -> None:
    assert compared("1.0") is None
    assert compared("2.0") is None
