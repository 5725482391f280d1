"""One push without a socket: `python -m tests.proof.push push -q -s REGISTRY LAYOUT NAME:TAG`.

Ends as `builder add` does: 0 when all was taken, else with the class of what was wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from builder.__main__ import guard_streams
from builder.errors import BuilderError
from builder.oci import mediatype
from builder.preview.respond import Response
from tests.images import sha256
from tests.receive.conftest import Client

_ENDS = {400: 1, 403: 1, 404: 1, 429: 5, 500: 3, 507: 3}


def answers(client: Client, layout: Path, name: str, tag: str) -> list[Response]:
    """Push what a layout holds until something is refused; return all answers."""
    blobs = [path.read_bytes() for path in sorted((layout / "blobs/sha256").iterdir())]
    top = json.loads((layout / "index.json").read_bytes())["manifests"][0]
    kinds = {
        sha256(data): json.loads(data).get("mediaType", "") if data[:1] == b"{" else ""
        for data in blobs
    }
    blobs.sort(key=lambda data: (kinds[sha256(data)] != "", sha256(data) == top["digest"]))
    found = []
    for data in blobs:
        digest = sha256(data)
        if (kind := kinds[digest]) in mediatype.MANIFESTS:
            reference = tag if digest == top["digest"] else digest
            found.append(client.manifest(data, name, reference, kind))
        else:
            found.append(client.upload(name, data))
        if found[-1].status != 201:
            break
    return found


def main() -> int:
    """Push; say what was refused."""
    guard_streams()
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("-q", action="store_true")
    parser.add_argument("-s", dest="source", type=Path)
    parser.add_argument("layout", type=Path)
    parser.add_argument("target")
    given = parser.parse_args()
    name, _, tag = given.target.partition(":")
    try:
        last = answers(Client(given.source), given.layout, name, tag)[-1]
    except BuilderError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if last.status != 201:
        sys.stderr.write(last.data.decode())
    return 0 if last.status == 201 else _ENDS[last.status]


if __name__ == "__main__":
    sys.exit(main())
