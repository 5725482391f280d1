"""Apache 2.4: `.htaccess` files inside the site, for hosts where nothing else may be changed.

One at the root for pages, one in `v2/` with patterns for the many, and one in
each `manifests/` folder for its tags and its exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from builder.errors import ContentError
from builder.oci.digest import DIGEST_HEADER
from builder.oci.mediatype import OCI_INDEX
from builder.output import Entry
from builder.targets.base import SERVER, Address, FileHost, SideFile
from builder.targets.errors_json import error_files
from builder.targets.rules import (
    ANY_DIGEST,
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

_NAME = ".htaccess"
_VALUE = re.compile(r"[^\x00-\x20\x7f-\uffff\"\\%]*")

# Nobody's content is a program, whatever its name ends in and the server has handlers for.
# A file's handler may come from any part of its name (`x.php.png`), so that all are taken away.
_STATIC = """\
Options -Indexes -MultiViews -ExecCGI -Includes
<FilesMatch "">
    SetHandler default-handler
</FilesMatch>
<IfModule mod_php.c>
    php_flag engine off
</IfModule>
<IfModule mod_php7.c>
    php_flag engine off
</IfModule>
<IfModule mod_php5.c>
    php_flag engine off
</IfModule>
"""
_ENCODINGS = """\
<IfModule mod_mime.c>
    RemoveEncoding .gz .tgz .Z .bz2 .br .zst
</IfModule>
"""
# Removed again in a folder below, they would be back: Apache 2.4.71 joins the files of two folders
# first, and forgets what the upper one removed. What a section removes is joined last.
_ENCODINGS_BELOW = f'<FilesMatch "">\n{_ENCODINGS}</FilesMatch>\n'
_CONTENT = r"""# Made by builder.
%(static)sDirectoryIndex index.json
ErrorDocument 400 /v2/400.json
ErrorDocument 403 /v2/404.json
ErrorDocument 404 /v2/404.json
ErrorDocument 405 /v2/405.json
<If "%{REQUEST_FILENAME} =~ m#^(.+/v2/.+)/manifests(?:/|$)# \
        && (-f '$1/_tags' || -f '$1/tags/list')">
    ErrorDocument 404 /v2/404-manifest.json
</If>
<If "%{REQUEST_FILENAME} =~ m#^(.+/v2/.+)/blobs(?:/|$)# \
        && (-f '$1/_tags' || -f '$1/tags/list')">
    ErrorDocument 404 /v2/404-blob.json
</If>

SetEnvIf Request_URI "^/v2/" no-gzip=1 no-brotli=1 REGISTRY_CACHE=brief
%(types)s
SetEnvIf Request_URI "^/v2/(?:_catalog|.+/_tags)$" REGISTRY_TYPE=application/json
SetEnvIf Request_URI "^/v2/.+/(?:manifests|blobs)/(%(digest)s)$" REGISTRY_DIGEST=$1

RewriteEngine On
RewriteBase /v2/
RewriteCond %{ENV:REDIRECT_STATUS} !^(?:200)?$
RewriteRule ^ - [L]
RewriteRule (?:^|/)\. - [R=404,L]
RewriteCond %{REQUEST_URI} ^/v2/.+/(?:blobs|referrers)/(?!%(any)s$)(?!uploads$)[^/]+$ [OR]
RewriteCond %{REQUEST_URI} ^/v2/.+/manifests/(?!%(any)s$)[^/]*:[^/]*$
RewriteRule ^ - [R=400,L]
RewriteCond %{REQUEST_METHOD} !^(?:GET|HEAD)$
RewriteRule ^ - [R=405,L]
%(moved)sRewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} ^(.+/v2/.+)/tags(?:/|$)
RewriteCond %1/_tags -f
RewriteRule ^(.+)/tags/list$ /v2/$1/_tags [END]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} ^(.+/v2/.+)/referrers(?:/|$)
RewriteCond %1/_tags -f [OR]
RewriteCond %1/tags/list -f
RewriteRule ^ /v2/no-referrers.json [END]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} ^(.+/v2/.+)/blobs/([^/]+)$
RewriteCond %1/manifests/%2 -f
RewriteRule ^(.+)/blobs/([^/]+)$ /v2/$1/manifests/$2 [E=REGISTRY_BLOB:1,END]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{ENV:REGISTRY_DIGEST} (.+)
RewriteRule ^(.+)/manifests/[^/:]+$ /v2/$1/manifests/%1 [E=REGISTRY_TAG:1,END]

Header unset X-Content-Type-Options
Header unset Access-Control-Allow-Origin
%(common)s
Header set Cache-Control "%(brief)s" env=REGISTRY_CACHE
Header set Cache-Control "%(immutable)s" env=REGISTRY_DIGEST
Header set Content-Type "%{REGISTRY_TYPE}e" env=REGISTRY_TYPE
Header set Docker-Content-Digest "%{REGISTRY_DIGEST}e" env=REGISTRY_DIGEST
Header set Content-Type application/octet-stream env=REDIRECT_REGISTRY_BLOB
Header set Cache-Control "%(brief)s" env=REDIRECT_REGISTRY_TAG
<FilesMatch "^40[045](?:-[a-z]+)?\.json$">
    Header always set Allow "GET, HEAD" "expr=%{REQUEST_STATUS} == 405"
</FilesMatch>
<If "%{REQUEST_URI} == '/v2/no-referrers.json'">
    Header set Content-Type "%(index)s"
</If>
<If "reqenv('REDIRECT_REGISTRY_PAGE') == '1' || reqenv('REDIRECT_REDIRECT_REGISTRY_PAGE') == '1'">
    ErrorDocument 404 %(base)s/404.html
    Header set Content-Type application/json
    Header unset Docker-Content-Digest
    Header unset Cache-Control
    Header always unset Docker-Distribution-Api-Version
    Header always unset Access-Control-Expose-Headers
</If>
"""

_PAGES = r"""# Made by builder. Needs `AllowOverride All`, mod_headers, mod_rewrite, mod_setenvif.
%(static)sDirectoryIndex index.html index.json
ErrorDocument 404 %(base)s/404.html
RewriteEngine On
RewriteRule (?:^|/)\.(?!well-known/) - [R=404,L]
%(moved)s%(copied)s
Header always set X-Content-Type-Options nosniff
<FilesMatch "\.html$">
    Header set Content-Security-Policy "%(policy)s"
</FilesMatch>
<FilesMatch "\.json$">
    Header set Access-Control-Allow-Origin "*"
</FilesMatch>
<FilesMatch "\.[0-9a-f]{8,}\.[a-z0-9]+$">
    Header set Cache-Control "public, max-age=31536000, immutable"
</FilesMatch>
%(policies)s"""

# What is JSON for people too is a copy of what clients get, unless it has a file of its own.
_COPIED = r"""RewriteCond %%{REQUEST_FILENAME} !-f
RewriteCond %%{REQUEST_FILENAME}/index.json !-f
RewriteRule ^(.+)/%s(?:/(?:index\.json)?)?$ /v2/$1/%s [E=REGISTRY_PAGE:1,L]
"""
# What is known of a blob has no folder of its own.
_BLOBS = r"""RewriteCond %%{REQUEST_FILENAME} !-f
RewriteCond %%{REQUEST_FILENAME} ^(.+/blobs/[^/]+)(?:/|$)
RewriteCond %%1.json -f
RewriteRule ^(.+/blobs/[^/]+)/index\.json$ %s/$1.json [END]
"""


def root_directive(folder: str) -> str:
    """Return the directive that says where the files are, for a file of its own.

    Raises ContentError for a folder that could be read as configuration.
    """
    if re.fullmatch(r"[^\x00-\x1f\x7f\"\\$%]*", folder) is None:
        message = "Apache cannot be told a path with such characters"
        raise ContentError.at(folder, message, "publish to a folder with a plain name")
    return f'DocumentRoot "{folder}"\n'


class Apache(FileHost):
    """A server of one's own, or rented space with Apache: everything is inside the site."""

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield the `.htaccess` files and the bodies of errors.

        Raises ContentError for a path or value that could be read as
        configuration, UsageError for such a baseurl.
        """
        root = address.plain_base
        found = plan(entries)
        yield from error_files()
        yield SideFile(_NAME, _pages(found, root).encode(), in_site=True)
        yield SideFile(f"v2/{_NAME}", _content(found, root).encode(), in_site=True)
        yield from _folders(found)
        for folder, page in sorted(found.fallbacks.items()):
            base = f"{root}/{_text(folder, folder)}"
            line = f"ErrorDocument 404 {base}/404.html"
            if page.startswith("200"):
                line = f"FallbackResource {base}/{page}"
            yield SideFile(f"{folder}/{_NAME}", f"{line}\n".encode(), in_site=True)


def _content(found: Plan, base: str) -> str:
    types = [
        f'SetEnvIf Request_URI "^/v2/.+/{pattern}$" REGISTRY_TYPE={found.usual[kind]}'
        for kind, pattern in KINDS.items()
        if kind in found.usual
    ]
    values = {
        "static": _STATIC + _ENCODINGS_BELOW,
        "base": base,
        "types": "\n".join(types),
        "digest": DIGEST,
        "any": ANY_DIGEST,
        "index": OCI_INDEX,
        "brief": BRIEF,
        "immutable": IMMUTABLE,
        "common": "\n".join(f'Header always set {name} "{text}"' for name, text in COMMON.items()),
        "moved": "".join(_moved(found.moved, "/v2/", 307)),
    }
    return _filled(_CONTENT, values)


def _pages(found: Plan, base: str) -> str:
    own = [entry for entry in found.moved_pages if not leads_to_own_blob(entry)]
    lines = list(_moved(own, "/", 302))
    if len(own) < len(found.moved_pages):
        lines.append(
            f"RewriteRule ^(.+/blobs/(?:{DIGEST}))(?:/|/index\\.html)?$ /v2/$1 [R=302,L]\n"
        )
    values = {
        "static": _STATIC + _ENCODINGS,
        "base": base,
        "policy": POLICY,
        "moved": "".join(lines),
        "copied": "".join(
            f'RewriteRule "^{re.escape(app)}/" - [L]\n' for app in sorted(found.fallbacks)
        )
        + _COPIED % (rf"manifests/({DIGEST}|[\w.-]+?)", "manifests/$2")
        + _COPIED % ("tags", "_tags")
        + _BLOBS % base,
        "policies": "".join(_policies(found)),
    }
    return _filled(_PAGES, values)


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"%\((\w+)\)s", lambda match: values[match[1]], text)


def _moved(moved: Iterable[Entry], below: str, status: int) -> Iterator[str]:
    """Yield a rewrite rule for each entry; NE keeps what is escaped in a URL as it is."""
    for entry in moved:
        path = f"/{entry.path}".removeprefix(below)
        pattern = (
            re.escape(path.removesuffix("/index.html")) if path.endswith("/index.html") else ""
        )
        pattern = f"{pattern}(?:/|/index\\.html)?" if pattern else re.escape(path)
        location = _text(entry.location, entry.path, percent=True)
        yield f'RewriteRule "^{pattern}$" "{location}" [R={status},NE,L]\n'


def _folders(found: Plan) -> Iterator[SideFile]:
    """Yield for each folder of manifests its tags' digests and the types that are exceptions."""
    odd = {entry.path for entry in found.odd}
    entries = {entry.path: entry for entry in (*found.names, *found.odd)}
    for folder, paths in groupby(sorted(entries), key=lambda path: path.rpartition("/")[0]):
        lines = []
        for path in paths:
            entry = entries[path]
            values = []
            if path in odd:
                values.append(f"REGISTRY_TYPE={_text(entry.media_type, path)}")
            if digest := header(entry, DIGEST_HEADER):
                values.append(f"REGISTRY_DIGEST={digest}")
            name = re.escape(path.rpartition("/")[2])
            lines.append(f'SetEnvIf Request_URI "/{name}$" {" ".join(values)}\n')
        # A tag has a digest too, and is not kept for long all the same.
        lines.append('<FilesMatch "^[^:]+$">\n')
        lines.append(f'    Header set Cache-Control "{BRIEF}"\n</FilesMatch>\n')
        yield SideFile(f"{folder}/{_NAME}", "".join(lines).encode(), in_site=True)


def _policies(found: Plan) -> Iterator[str]:
    for entry in found.policies:
        value = header(entry, "Content-Security-Policy") or ""
        action = (
            f'set Content-Security-Policy "{value}"' if value else "unset Content-Security-Policy"
        )
        pattern = re.escape(entry.path).replace("#", "[#]")
        yield f'<If "%{{REQUEST_URI}} =~ m#/{pattern}$#">\n    Header {action}\n</If>\n'


def _text(value: str, path: str, *, percent: bool = False) -> str:
    """Return a value that can stand in a configuration; a URL may have percent signs."""
    if _VALUE.fullmatch(value.replace("%", "") if percent else value) is None:
        message = f"{value!r} cannot be written in Apache's configuration"
        raise ContentError.at(path, message, "rename the file, or correct the value")
    return value.replace("%", "\\%")


TARGET = Apache(
    replace(
        SERVER,
        name="apache",
        title="Apache",
        notes=(
            "Needs AllowOverride All for the folder, mod_headers, mod_rewrite and mod_setenvif.",
            "With a baseurl, add `Alias BASEURL FOLDER` and `Alias /v2 FOLDER/v2`.",
            "`tags/list?n=&last=` and `_catalog?n=` return the whole list.",
        ),
    )
)
