"""Caddy 2: one file to import inside a site's block, below its `root`.

One `map` says the type, the digest and the new place of each path, exact
lines before patterns; the routes below it are the same for every registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from builder.errors import ContentError
from builder.oci.digest import DIGEST_HEADER
from builder.oci.mediatype import OCI_INDEX
from builder.output import Entry
from builder.targets.base import SERVER, Address, FileHost, SideFile
from builder.targets.errors_json import error_files
from builder.targets.rules import (
    BRIEF,
    COMMON,
    DIGEST,
    IMMUTABLE,
    KINDS,
    POLICY,
    Plan,
    header,
    leads_to_own_blob,
    plan,
)

_VALUE = re.compile(r"[^\x00-\x1f\x7f-\uffff\"{}\\`]*")
_ANY_DIGEST = rf"(?:{DIGEST}|[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+)"


def root_line(folder: str) -> str:
    """Return the directive that says where the files are, so that it changes with the rules.

    Raises ContentError for a folder that could be read as configuration.
    """
    if _VALUE.fullmatch(folder) is None:
        message = "Caddy cannot be told a path with such characters"
        raise ContentError.at(folder, message, "publish to a folder with a plain name")
    return f'\nroot * "{folder}"\n'


_SITE = r"""# Made by builder. Import inside a site's block, beside `root * FOLDER`.

map {path} {registry_type} {registry_digest} {registry_moved} {
%(lines)s
	default "" "" ""
}

redir /v2 /v2/ 308

handle /v2/* {
	route {
		header {
%(common)s
			Cache-Control "%(brief)s"
		}
		@malformed {
			path_regexp ^/v2/.+/(?:blobs|manifests|referrers)/[^/]*:[^/]*$
			not path_regexp ^/v2/.+/(?:blobs|manifests|referrers)/%(digest)s$
		}
		error @malformed 400
		@short {
			path_regexp ^/v2/.+/(?:blobs|manifests|referrers)/sha(?:256|512):[^/]*$
			not path_regexp /(?:%(exact)s)$
		}
		error @short 400
		@plainname {
			path_regexp ^/v2/.+/(?:blobs|referrers)/[^/:]+$
			not path */blobs/uploads
		}
		error @plainname 400
		@write not method GET HEAD
		error @write 405
		@moved expression `{registry_moved} != ""`
		redir @moved {registry_moved} 307
		@content path_regexp ^/v2/.+/(?:manifests|blobs)/(?:%(exact)s)$
		header @content Cache-Control "%(immutable)s"
		@typed expression `{registry_type} != ""`
		header @typed Content-Type {registry_type}
		@digested expression `{registry_digest} != ""`
		header @digested Docker-Content-Digest {registry_digest}
		@referrers path_regexp name ^/v2/(.+)/referrers/[^/]+$
		handle @referrers {
			@none {
				not file
				file /v2/{re.name.1}/_tags /v2/{re.name.1}/tags/list
			}
			header @none Content-Type %(index)s
			rewrite @none /v2/no-referrers.json
		}
		@list path_regexp list ^/v2/(.+)/tags/list$
		handle @list {
			@elsewhere not file
			rewrite @elsewhere /v2/{re.list.1}/_tags
		}
		@twin path_regexp twin ^/v2/(.+)/blobs/([^/]+)$
		handle @twin {
			@elsewhere not file
			rewrite @elsewhere /v2/{re.twin.1}/manifests/{re.twin.2}
		}
		@tag path_regexp tag ^/v2/(.+)/manifests/[^/:]+$
		handle @tag {
			@elsewhere not file
			rewrite @elsewhere /v2/{re.tag.1}/manifests/{registry_digest}
		}
		file_server {
			index index.json
		}
	}
}

handle %(pages)s {
	route {
%(strip)s		@hidden {
			path */.*
			not path /.well-known/*
		}
		error @hidden 404
		@moved expression `{registry_moved} != ""`
		redir @moved {registry_moved} 302
		@html path */ *.html
		header @html Content-Security-Policy "%(policy)s"
		header X-Content-Type-Options nosniff
		@json path *.json
		header @json Access-Control-Allow-Origin *
		@named path_regexp ^/assets/.*\.[0-9a-f]{8,}\.[a-z0-9]+$
		header @named Cache-Control "public, max-age=31536000, immutable"
%(policies)s%(fallbacks)s
		@manifest path_regexp copied ^/(.+)/manifests/([^/]+?)(?:/(?:index\.json)?)?$
		route @manifest {
			@elsewhere not file {path} {path}/index.json
			rewrite @elsewhere /v2/{re.copied.1}/manifests/{re.copied.2}
			@tag {
				path /v2/*
				not file
			}
			rewrite @tag /v2/{re.copied.1}/manifests/{registry_digest}
		}
		@tags path_regexp copied ^/(.+)/tags(?:/(?:index\.json)?)?$
		handle @tags {
			@elsewhere not file {path} {path}/index.json
			rewrite @elsewhere /v2/{re.copied.1}/_tags
		}
		@known path_regexp known ^/(.+/blobs/[^/]+)/index\.json$
		handle @known {
			@elsewhere not file
			rewrite @elsewhere /{re.known.1}.json
		}
		@copy {
			path /v2/*
			file
		}
		header @copy Content-Type application/json
		header @copy Access-Control-Allow-Origin *
		file_server {
			index index.html index.json
		}
	}
}
%(below)s
handle_errors {
	header -Docker-Content-Digest
	header Cache-Control no-cache
	@registry path /v2/*
	handle @registry {
		route {
			header Content-Type application/json
			@not_allowed expression {err.status_code} == 405
			header @not_allowed Allow "GET, HEAD"
			rewrite @not_allowed /v2/405.json
			@malformed expression {err.status_code} == 400
			rewrite @malformed /v2/400.json
			@manifest path_regexp name ^/v2/(.+)/manifests/[^/]+$
			handle @manifest {
				@known file /v2/{re.name.1}/_tags /v2/{re.name.1}/tags/list
				rewrite @known /v2/404-manifest.json
			}
			@blob path_regexp name ^/v2/(.+)/blobs/[^/]+$
			handle @blob {
				@known file /v2/{re.name.1}/_tags /v2/{re.name.1}/tags/list
				rewrite @known /v2/404-blob.json
			}
			@name not path /v2/40*.json
			rewrite @name /v2/404.json
			file_server
		}
	}
	handle {
		header Content-Security-Policy "%(policy)s"
		rewrite * /404.html
		file_server
	}
}
"""

_FALLBACK = """\
		@below%(number)d {
			path /%(folder)s/*
			not file {
				try_files {path} {path}/index.html
			}
		}
		rewrite @below%(number)d /%(folder)s/%(page)s
"""


class Caddy(FileHost):
    """A server of one's own: a map for what differs, matchers for the rest."""

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield `site.caddy` and the bodies of errors.

        Raises ContentError for a path or value that could be read as
        configuration, UsageError for such a baseurl.
        """
        base = address.plain_base
        yield from error_files()
        yield SideFile("site.caddy", _text(plan(entries), base).encode())


def _text(found: Plan, base: str) -> str:
    values = {
        "lines": "\n".join(f"\t{line}" for line in _lines(found)),
        "digest": _ANY_DIGEST,
        "exact": DIGEST,
        "common": "\n".join(f'\t\t\t{name} "{value}"' for name, value in COMMON.items()),
        "brief": BRIEF,
        "immutable": IMMUTABLE,
        "index": OCI_INDEX,
        "policy": POLICY,
        "pages": f"{base}/*" if base else "",
        "strip": f"\t\turi strip_prefix {base}\n" if base else "",
        "below": f"redir {base} {base}/ 308\n" if base else "",
        "policies": "".join(_policies(found)),
        "fallbacks": "".join(_fallbacks(found)),
    }
    return re.sub(r"%\((\w+)\)s", lambda match: values[match[1]], _SITE)


def _lines(found: Plan) -> Iterator[str]:
    """Yield the map's lines: type, digest and new place of a path."""
    own: dict[str, tuple[str, str, str]] = {}
    for entry in (*found.names, *found.odd):
        own[entry.path] = (entry.media_type, header(entry, DIGEST_HEADER) or "", "")
    for entry in found.moved:
        own[entry.path] = ("", "", entry.location)
    pages = [entry for entry in found.moved_pages if not leads_to_own_blob(entry)]
    for entry in pages:
        path = entry.path.removesuffix("/index.html")
        own |= dict.fromkeys((path, f"{path}/"), ("", "", entry.location))
    for path, values in sorted(own.items()):
        yield " ".join(_quoted(text, path) for text in (f"/{path}", *values))
    yield '/v2/_catalog application/json "" ""'
    for kind in ("manifest", "blob"):
        pattern = KINDS[kind].replace("(?:", "(", 1)
        yield f'~^/v2/.+/{pattern}$ "{found.usual.get(kind, "")}" "${{1}}" ""'
    for kind in ("referrers", "tags"):
        yield f'~^/v2/.+/{KINDS[kind]}$ "{found.usual.get(kind, "")}" "" ""'
    if len(pages) < len(found.moved_pages):
        yield f'~^/([a-z0-9._/-]+)/blobs/({DIGEST})/?$ "" "" "/v2/${{1}}/blobs/${{2}}"'


def _quoted(text: str, path: str) -> str:
    if _VALUE.fullmatch(text) is None:
        message = f"{text!r} cannot be written in a Caddyfile"
        raise ContentError.at(path, message, "rename the file, or correct the value")
    return f'"{text}"'


def _policies(found: Plan) -> Iterator[str]:
    """Yield pages whose policy is another, or none."""
    for number, entry in enumerate(found.policies):
        value = header(entry, "Content-Security-Policy") or ""
        path = _quoted(f"/{entry.path}", entry.path)
        folder = _quoted(f"/{entry.path.removesuffix('index.html')}", entry.path)
        yield f"\t\t@policy{number} path {path} {folder}\n"
        name = "Content-Security-Policy" if value else "-Content-Security-Policy"
        yield f"\t\theader @policy{number} {name} {_quoted(value, entry.path) if value else ''}\n"


def _fallbacks(found: Plan) -> Iterator[str]:
    for number, (folder, page) in enumerate(sorted(found.fallbacks.items())):
        if page.startswith("200"):
            _quoted(folder, folder)
            yield _FALLBACK % {"number": number, "folder": folder, "page": page}


TARGET = Caddy(
    replace(
        SERVER,
        name="caddy",
        title="Caddy",
        notes=(
            "Import site.caddy in the site's block, beside `root`, and reload after each build.",
            "Caddy searches its map line by line: above about 10,000 tags, nginx is faster.",
            "`tags/list?n=&last=` and `_catalog?n=` return the whole list.",
        ),
    )
)
