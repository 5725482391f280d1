"""A registry over the network: repositories, manifests, blobs, lists.

Source: distribution-spec, "Pull" and "Content Discovery". What comes is
checked as far as it can be here; whoever keeps content checks it again.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from builder.errors import ContentError, RemoteError
from builder.oci import mediatype, strictjson
from builder.oci.descriptor import Descriptor
from builder.oci.digest import DIGEST_HEADER, Digest, DigestError
from builder.oci.validate import ManifestError, parse_manifest
from builder.remote.auth import Authoriser
from builder.remote.blob import BlobStream
from builder.remote.connection import speaks_tls
from builder.remote.credentials import find_credentials
from builder.remote.faults import words_of
from builder.remote.http import Answer, Body, Http, Request, origin_of
from builder.remote.options import RemoteOptions
from builder.remote.pages import MAX_PAGE, MAX_PAGES, next_link, read_pages

ACCEPT = ", ".join([*sorted(mediatype.MANIFESTS), "*/*;q=0.1"])  # of manifests
_SCHEMA1 = mediatype.SCHEMA1.partition("+")[0]  # signed or not
_OK, _NOT_FOUND, _UNAUTHORISED = 200, 404, 401


class RegistryClient:
    """One registry. `host` is what users write: `localhost:5000`, `docker.io`."""

    def __init__(self, host: str, options: RemoteOptions, *, http: Http | None = None) -> None:
        self.host = host
        self.http = http or Http(options)
        # docker.io is a name for people; its registry answers elsewhere.
        self._place = "registry-1.docker.io" if host == "docker.io" else host
        self.http.trust(f"https://{self._place}")
        self._base = ""

    @property
    def base(self) -> str:
        """The URL of the registry, without a path.

        Plain http is only for this machine, or with `--insecure`, and only
        for a server that does not answer a TLS handshake.
        """
        if not self._base:
            self._base = f"{self._scheme()}://{self._place}"
        return self._base

    def _scheme(self) -> str:
        parts = urlsplit(f"//{self._place}")
        name = parts.hostname or ""
        if not self.http.allows_plain(name):
            return "https"
        ways = [(parts.port, "http")] if parts.port else [(443, "https"), (80, "http")]
        for port, otherwise in ways:
            try:
                if speaks_tls(self.http.policy, name, port):
                    return "https"
            except OSError as error:
                failure = error
            else:
                return otherwise
        message = f"{self.host}: cannot connect: {failure.strerror or failure}"
        raise RemoteError(message, "is the server up, and the name right?")

    def repository(self, name: str) -> Repository:
        """Return a repository of the registry, whether or not it is there."""
        if self.host == "docker.io" and "/" not in name:
            name = f"library/{name}"
        return Repository(self, name)

    def catalog(self) -> Iterator[str]:
        """Yield the names of repositories, where the registry tells them."""
        authoriser = Authoriser(self.http, find_credentials(self.host, ""))

        def ask(url: str) -> Answer:
            answer = self.ask("GET", url, authoriser, ("registry:catalog:*",))
            if answer.status != _OK:
                raise _refusal(answer, url)
            return answer

        yield from read_pages(ask, f"{self.base}/v2/_catalog?n=1000", "repositories")

    def ask(
        self,
        method: str,
        url: str,
        authoriser: Authoriser,
        scopes: Sequence[str],
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        again: bool = True,
    ) -> Answer:
        """Send a request, authorised as far as that takes; returns any answer but a 401.

        Raises RemoteError when we are not let in.
        """
        for _ in range(3):
            own = origin_of(url) == origin_of(self.base)
            secrets = authoriser.header(scopes) if own else {}
            answer = self.http.send(Request(method, url, headers or {}, secrets, body, again))
            if answer.status != _UNAUTHORISED:
                return answer
            challenges = answer.headers("WWW-Authenticate")
            # Only the registry itself may ask for its login, not where it redirects to.
            own = own and origin_of(answer.url) == origin_of(self.base)
            answer.close()
            used = secrets.get("Authorization", "")
            if not own or not authoriser.answer(self.base, challenges, scopes, used):
                break
        hint = f"log in with 'podman login {self.host}' or 'docker login {self.host}'"
        raise RemoteError(f"{self.host}: 401: access is denied without a login that counts", hint)


class Repository:
    """One repository of a registry; safe to use from several threads."""

    def __init__(self, client: RegistryClient, name: str) -> None:
        self.name = name
        self.label = f"{client.host}/{name}"
        self.client = client
        self._authoriser = Authoriser(client.http, find_credentials(client.host, name))

    def request(
        self,
        method: str,
        path_or_url: str,
        *,
        actions: str = "pull",
        scopes: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        again: bool = True,
        expect: Sequence[int] = (_OK,),
    ) -> Answer:
        """Send a request below `/v2/<name>/`, or to a URL that the registry gave.

        `actions` are what the token must allow here, `scopes` what else it
        must; `again` tells whether it may be asked twice. Raises
        RemoteError for a status that is not expected.
        """
        is_url = "://" in path_or_url
        url = path_or_url if is_url else f"{self.client.base}/v2/{self.name}/{path_or_url}"
        wanted = (f"repository:{self.name}:{actions}", *scopes)
        answer = self.client.ask(
            method, url, self._authoriser, wanted, headers=headers, body=body, again=again
        )
        if answer.status in expect:
            return answer
        shown = path_or_url.partition("?")[0]
        raise _refusal(answer, shown if is_url else f"{self.label} {shown}")

    def manifest(self, reference: str) -> tuple[Descriptor, bytes]:
        """Return a manifest by tag or digest, with its exact bytes.

        Raises RemoteError when it is not there, not what its digest or
        headers say, or over 4 MiB; ContentError for what is no manifest.
        """
        with self._manifest("GET", reference, (_OK,)) as answer:
            raw = answer.text(strictjson.MAX_BYTES)
            said, kind = answer.header(DIGEST_HEADER), answer.header("Content-Type")
        digest = self._digest(reference, said, raw)
        media_type = kind.partition(";")[0].strip().lower()
        if media_type.startswith(_SCHEMA1):
            raise self._schema1(reference)
        try:
            manifest = parse_manifest(raw, allow_foreign=True)
        except ManifestError as error:
            if b'"fsLayers"' in raw:
                raise self._schema1(reference) from None
            raise error.located(f"{self.label} {reference}") from None
        if media_type != manifest.media_type:
            message = f"{self.label} {reference}: its Content-Type is {media_type or 'missing'}"
            hint = "the registry, or a proxy before it, is set up wrongly"
            raise RemoteError(f"{message}, its mediaType {manifest.media_type}", hint)
        return Descriptor(manifest.media_type, digest, len(raw)), raw

    def head(self, reference: str) -> Descriptor | None:
        """Return what a tag or digest names now, None when it is not there.

        A registry that does not say enough in its headers is asked for the whole.
        """
        with self._manifest("HEAD", reference, (_OK, _NOT_FOUND, 405)) as answer:
            if answer.status == _NOT_FOUND:
                return None
            said, size = answer.header(DIGEST_HEADER), answer.number("Content-Length")
            kind = answer.header("Content-Type").partition(";")[0].strip().lower()
        if said and size is not None and kind in mediatype.MANIFESTS:
            try:
                return Descriptor(kind, Digest(said), size)
            except DigestError:
                pass
        try:
            return self.manifest(reference)[0]
        except NotFoundError:
            return None

    def open_blob(self, descriptor: Descriptor) -> BinaryIO:
        """Open a blob; it goes on where it was when the connection breaks.

        Raises FileNotFoundError when it is not there.
        """
        path = f"blobs/{descriptor.digest}"

        def opener(offset: int) -> Answer:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            expect = (_OK, 206, 416) if offset else (_OK,)
            return self.request("GET", path, headers=headers, expect=expect)

        try:
            stream = BlobStream(opener, descriptor.size, self.client.http.back_off)
        except NotFoundError:
            raise FileNotFoundError(descriptor.digest) from None
        return io.BufferedReader(stream, 256 << 10)

    def tags(self) -> Iterator[str]:
        """Yield the tags, in the order the registry gives them."""
        yield from read_pages(
            lambda url: self.request("GET", url, expect=(_OK,)),
            f"{self.client.base}/v2/{self.name}/tags/list",
            "tags",
        )

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return what refers to a manifest: by the endpoint, else by the tag schema.

        Source: distribution-spec, "Listing Referrers" and "Referrers Tag Schema".
        """
        found: dict[Digest, Descriptor] = {}
        url = f"{self.client.base}/v2/{self.name}/referrers/{digest}"
        for _ in range(MAX_PAGES):
            with self.request("GET", url, expect=(_OK, 400, _NOT_FOUND, 405)) as answer:
                kind = answer.header("Content-Type").partition(";")[0].strip()
                if answer.status != _OK or kind != mediatype.OCI_INDEX:
                    return self._by_tag_schema(digest)
                raw = answer.text(MAX_PAGE)
                following = next_link(answer)
            known = len(found)
            found.update((item.digest, item) for item in self._index(raw, url))
            if not following:
                return tuple(found.values())
            if len(found) == known:
                break
            url = following
        raise RemoteError(f"{self.label}: the list of referrers does not end")

    def _by_tag_schema(self, digest: Digest) -> tuple[Descriptor, ...]:
        with self._manifest("GET", digest.referrers_tag, (_OK, _NOT_FOUND)) as answer:
            if answer.status == _NOT_FOUND:
                return ()
            return self._index(answer.text(strictjson.MAX_BYTES), answer.url)

    def _index(self, raw: bytes, url: str) -> tuple[Descriptor, ...]:
        try:
            return parse_manifest(raw, mediatype.OCI_INDEX, allow_foreign=True).manifests
        except ManifestError as error:
            raise RemoteError(f"{url}: is not a list of referrers: {error.message}") from None

    def _manifest(self, method: str, reference: str, expect: Sequence[int]) -> Answer:
        path = f"manifests/{quote(reference, safe=':')}"
        return self.request(method, path, headers={"Accept": ACCEPT}, expect=expect)

    def _digest(self, reference: str, said: str, raw: bytes) -> Digest:
        """Return the digest of a manifest's bytes, which must be the one that was asked for."""
        for wanted in (reference if ":" in reference else "", said):
            if not wanted:
                continue
            try:
                digest = Digest(wanted)
            except DigestError as error:
                message = f"{self.label} {reference}: its Docker-Content-Digest: {error.message}"
                raise RemoteError(message) from None
            if not digest.matches(raw):
                message = f"{self.label} {reference}: the bytes do not have the digest {digest}"
                raise RemoteError(message, "somebody changed them on the way, or the registry lies")
            if ":" in reference:
                return digest
        return Digest.of(raw)

    def _schema1(self, reference: str) -> ContentError:
        message = "is a manifest of Docker's schema 1, which nothing can verify"
        return ContentError.at(
            f"{self.label}:{reference}", message, "push it again with a new tool"
        )


class NotFoundError(RemoteError):
    """What was asked for is not there."""


def _refusal(answer: Answer, where: str) -> RemoteError:
    """Return what to tell about a status that was not expected, with what its body says."""
    with answer:
        try:
            said = words_of(answer.text())
        except RemoteError as error:
            said = error.message
    if answer.status == _NOT_FOUND:
        text = f"{where}: 404: not found: {said}"
        return NotFoundError(text.rstrip(": "), "check the name and the tag")
    text = f"{where}: the registry answered {answer.status}: {said}"
    hint = "does your login allow this?" if answer.status == 403 else ""
    return RemoteError(text.rstrip(": "), hint)
