from __future__ import annotations

import pytest

from builder.text.links import Links


def links(base: str = "vanessa/greeting/", baseurl: str = "/base") -> tuple[Links, list[str]]:
    warnings: list[str] = []
    made = Links(
        baseurl, base, ("a.png", "sub/b c.png"), lambda _, message: warnings.append(message)
    )
    return made, warnings


HREFS = [
    # written, published (None: nowhere)
    ("https://example.org/a?b=c#d", "https://example.org/a?b=c#d"),
    ("HTTP://Example.org", "http://Example.org"),
    ("mailto:me@example.org", "mailto:me@example.org"),
    ("//example.org/x", "https://example.org/x"),
    ("\\\\example.org", "https://example.org"),
    ("/\\example.org", "https://example.org"),
    ("/\t/example.org", "https://example.org"),
    ("javascript:alert(1)", None),
    ("java\nscript:alert(1)", None),
    ("\x01javascript:alert(1)", None),
    ("data:text/html,x", None),
    ("file:///etc/passwd", None),
    ("C:\\x", None),
    ("#usage", "#user-content-usage"),
    ("#user-content-usage", "#user-content-usage"),
    ("#", "#"),
    ("", "/base/vanessa/greeting/"),
    ("x", "/base/vanessa/greeting/x"),
    ("./x/", "/base/vanessa/greeting/x/"),
    ("x?y=1#z", "/base/vanessa/greeting/x?y=1#z"),
    ("../other/", "/base/vanessa/other/"),
    ("../other/README.md", "/base/vanessa/other/"),
    ("readme.md#build", "/base/vanessa/greeting/#user-content-build"),
    ("../../index.md", "/base/"),
    ("manifests/latest/README.md", "/base/vanessa/greeting/tags/latest/"),
    ("../../../etc/passwd", None),
    ("%2e%2e/%2e%2e/%2e%2e/etc/passwd", None),
    ("..\\..\\..\\etc", None),
    ("/about/", "/base/about/"),
    ("/base/about/", "/base/about/"),
    ("/../x", None),
    ("a b\"<>'", "/base/vanessa/greeting/a%20b%22%3C%3E'"),
    ("%2F%2Fevil.example", "/base/evil.example"),
    ("é", "/base/vanessa/greeting/%C3%A9"),
]


@pytest.mark.parametrize(("written", "published"), HREFS)
def test_links_lead_where_the_site_has_them(written: str, published: str | None) -> None:
    assert links()[0].href(written) == published


@pytest.mark.parametrize("written", ["../../../x", "/..", "%2e%2e/../../x", "a/../../../../b"])
def test_leaving_the_site_is_a_warning(written: str) -> None:
    made, warnings = links()
    assert made.href(written) is None
    assert warnings == [f"the link {written!r} leaves the site"]


SOURCES = [
    ("a.png", "/base/vanessa/greeting/a.png"),
    ("sub/b%20c.png?raw=true", "/base/vanessa/greeting/sub/b%20c.png?raw=true"),
    ("/assets/logo.svg", "/base/assets/logo.svg"),
    ("https://example.org/x.png", "https://example.org/x.png"),
    ("no.png", None),
    ("", None),
    ("mailto:x@example.org", None),
    ("data:image/svg+xml,x", None),
    ("../../../x.png", None),
]


@pytest.mark.parametrize(("written", "published"), SOURCES)
def test_pictures_are_those_that_are_published(written: str, published: str | None) -> None:
    assert links()[0].src(written) == published


def test_without_baseurl_addresses_begin_at_the_root() -> None:
    made, _ = links(base="", baseurl="")
    assert made.href("x") == "/x"
    assert made.href("README.md") == "/"
    assert made.href("//") == "https://"
