"""The text of nginx's `server.conf`: which location answers what.

Everything that depends on a single path comes from the variables of
`http.conf`; what stands here is the same for every registry but for its
baseurl, its header names and its types by extension.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from builder.errors import UsageError
from builder.oci.mediatype import OCI_INDEX
from builder.targets.rules import ANY_DIGEST

_FOLDER = re.compile(r"[A-Za-z0-9._/-]+")

_CONTENT = r"""# Made by builder. Include in server{} beside `root`, and http.conf in http{}.

location = /v2 {
    absolute_redirect off;
    return 301 /v2/;
}

location ^~ /v2/ {
    types { }
    default_type "";
    charset off;
    gzip off;
    max_ranges 1;
    client_max_body_size 0;
    log_not_found off;
    absolute_redirect off;
    error_page 400 = @registry_malformed;
    error_page 403 404 = @registry_missing;
    error_page 405 = @registry_unsupported;
    add_header Content-Type $registry_type;
    add_header Link $registry_link;
    add_header OCI-Filters-Applied $registry_filtered;
%(headers)s
%(common)s
    if ($registry_write) { return 405; }
    if ($registry_elsewhere) { return 307 $registry_elsewhere; }
    try_files $uri =404;

    location = /v2/ {
        default_type application/json;
        if ($registry_write) { return 405; }
        return 200 '{}';
    }

    location ~ "^/v2/(?<registry_name>.+)/tags/list$" {
        if ($registry_write) { return 405; }
        set $registry_list $uri;
        if (!-f $request_filename) { set $registry_list /v2/$registry_name/_tags; }
        if (!-f $document_root$registry_list) { return 404; }
        if ($registry_n = invalid) { return 400; }
        if ($registry_paged) { return 200 '{"name":"$registry_name","tags":[$registry_items]}'; }
        rewrite ^ $registry_list break;
    }

    location = /v2/_catalog {
        if ($registry_write) { return 405; }
        if (!-f $request_filename) { return 404; }
        if ($registry_n = invalid) { return 400; }
        if ($registry_paged) { return 200 '{"repositories":[$registry_items]}'; }
    }

    location ~ "/(?:blobs|referrers)/(?!%(digest)s$)(?!uploads$)[^/]+$" {
        if ($registry_write) { return 405; }
        return 400;
    }

    location ~ "/manifests/(?!%(digest)s$)[^/]*:[^/]*$" {
        return 400;
    }

    location ~ "^/v2/(?<registry_name>.+)/referrers/(?<registry_subject>[^/]+)$" {
        if ($registry_write) { return 405; }
        try_files $registry_referrers @registry_no_referrers;
    }

    # One file answers for a manifest, for the tags on it, and for a blob of a blob's type: what
    # is said of the path that was asked for is found before try_files changes it.
    location ~ "^/v2/(?<registry_name>.+)/manifests/[^/]+$" {
        if ($registry_write) { return 405; }
        if ($registry_elsewhere) { return 307 $registry_elsewhere; }
        set $registry_asked $registry_type$registry_cache;
        try_files $uri /v2/$registry_name/manifests$registry_by_digest @registry_unknown;
    }

    location ~ "^/v2/(?<registry_name>.+)/blobs/(?<registry_digest>[^/]+)$" {
        if ($registry_write) { return 405; }
        if ($registry_elsewhere) { return 307 $registry_elsewhere; }
        set $registry_asked $registry_type$registry_cache;
        try_files $uri /v2/$registry_name/manifests/$registry_digest @registry_unknown;
    }
}

location @registry_no_referrers {
    default_type %(index)s;
    gzip off;
    add_header OCI-Filters-Applied $registry_filters;
%(common)s
    return 200 '{"schemaVersion":2,"mediaType":"%(index)s","manifests":[]}';
}

location @registry_unknown {
    default_type application/json;
%(common)s
    if (-f $document_root/v2/$registry_name/_tags) { return 404 $registry_error; }
    if (-f $document_root/v2/$registry_name/tags/list) { return 404 $registry_error; }
    return 404 '{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}';
}

location @registry_missing {
    default_type application/json;
%(common)s
    return 404 $registry_error;
}

location @registry_malformed {
    default_type application/json;
%(common)s
    return 400 $registry_invalid;
}

location @registry_unsupported {
    default_type application/json;
%(common)s
    add_header Allow "GET, HEAD, OPTIONS" always;
    add_header Access-Control-Allow-Methods $registry_methods;
    add_header Access-Control-Allow-Headers $registry_allowed;
    add_header Access-Control-Max-Age $registry_remembered;
    if ($registry_methods) { return 204; }
    return 405 '{"errors":[{"code":"UNSUPPORTED","message":"this registry is read-only"}]}';
}
"""

_PAGES = r"""
location %(match)s {
%(settings)s
%(move)s
    try_files $uri @registry_folder;

    location ~ "/\.(?!well-known/)" {
        return 404;
    }

    location ~ "/$" {
%(move)s
        try_files ${uri}index.html ${uri}index.json @registry_friendly;
    }
}

location @registry_folder {
%(settings)s
    if (-f $document_root$uri/index.html) { return 301 %(base)s$uri/$is_args$args; }
    try_files $uri/index.json $registry_facts @registry_friendly;
}

# The JSON for people that is a copy of what clients get.
location @registry_friendly {
    types { }
    default_type application/json;
    absolute_redirect off;
    log_not_found off;
    error_page 403 404 =404 @registry_no_page;
    add_header Cache-Control no-cache;
    add_header X-Content-Type-Options nosniff;
    add_header Access-Control-Allow-Origin "*";
    if ($registry_copied = "") { return 404; }
    rewrite ^ $registry_copied break;
    try_files $uri /v2/$registry_whose/manifests$registry_by_digest =404;
}

location @registry_no_page {
%(settings)s
    try_files /404.html =404;
}
"""

_FALLBACK = r"""
location ^~ %(match)s {
%(settings)s
%(move)s
    index index.html;
    try_files $uri $uri/ =404;
}
"""

_BELOW = r"""
location = %(base)s {
    absolute_redirect off;
    return 301 %(base)s/;
}

location ~ "/\.(?!well-known/)" {
    return 404;
}
"""

_COMMON = """\
    add_header Docker-Distribution-Api-Version registry/2.0 always;
    add_header Cache-Control $registry_cache;
    add_header X-Content-Type-Options nosniff always;
    add_header Access-Control-Allow-Origin * always;
    add_header Access-Control-Expose-Headers
        "Docker-Content-Digest, ETag, Link, OCI-Filters-Applied" always;"""


def server_config(
    base: str,
    *,
    headers: Mapping[str, str],
    types: Mapping[str, str],
    fallbacks: Mapping[str, str],
) -> str:
    """Return `server.conf`.

    `headers` maps a header's name to the variable with its value, `types` a
    file extension to its media type, `fallbacks` a folder to the page in it
    that answers for what is missing below it: `200.html` or `404.html`.
    Raises UsageError for a folder that cannot be a location.
    """
    lines = "\n".join(f"    add_header {name} {value};" for name, value in headers.items())
    content = _CONTENT % {
        "headers": lines,
        "common": _COMMON,
        "digest": ANY_DIGEST,
        "index": OCI_INDEX,
    }
    pages = _PAGES % {
        "match": f"^~ {base}/",  # no other location of the server, such as PHP's, may take a page
        "settings": _page_settings(lines, types),
        "move": _move(base),
        "base": base,
    }
    for folder, page in sorted(fallbacks.items()):
        pages += _fallback(base, folder, page, lines, types)
    return content + pages + (_BELOW % {"base": base} if base else "")


def _fallback(base: str, folder: str, page: str, headers: str, types: Mapping[str, str]) -> str:
    """Return the location of a web app, which answers for all that is below it."""
    if _FOLDER.fullmatch(folder) is None:
        raise UsageError(f"/{folder}/ cannot be written as a location of nginx")
    status = "=200 " if page.startswith("200") else ""
    settings = _page_settings(headers, types).replace(
        "    error_page 403 404 =404 @registry_no_page;",
        f"    error_page 403 404 {status}{base}/{folder}/{page};",
    )
    return _FALLBACK % {
        "match": f"{base}/{folder}/",
        "settings": settings,
        "move": _move(base),
    }


def _move(base: str) -> str:
    lines = ["    if ($registry_moved) { return 302 $registry_moved; }"]
    if base:  # what stands behind a break is never reached
        lines.append(f"    rewrite ^{re.escape(base)}(/.*)$ $1 break;")
    return "\n".join(lines)


def _page_settings(headers: str, types: Mapping[str, str]) -> str:
    lines = ["    types {"]
    lines += [f"        {media_type} {extension};" for extension, media_type in types.items()]
    lines += ["    }", "    default_type application/octet-stream;", "    charset utf-8;"]
    if texts := _texts(types):
        lines.append(f"    charset_types {' '.join(texts)};")
    lines += [
        "    absolute_redirect off;",
        "    log_not_found off;",
        "    error_page 403 404 =404 @registry_no_page;",
        headers,
        "    add_header Cache-Control $registry_cache;",
        "    add_header X-Content-Type-Options nosniff always;",
        "    add_header Access-Control-Allow-Origin $registry_origin;",
    ]
    return "\n".join(lines)


def _texts(types: Mapping[str, str]) -> list[str]:
    """Return the types that need a charset; text/html always has one and may not be listed."""
    texts = {each for each in types.values() if each.startswith("text/")}
    return sorted(texts - {"text/html"})
