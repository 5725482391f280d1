"""What to tell a user about each way that a request to object storage goes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from builder.errors import RemoteError, redacted

_HINTS = {
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it and try again",
    "InvalidAccessKeyId": "is AWS_ACCESS_KEY_ID right, and of this server?",
    "SignatureDoesNotMatch": "is AWS_SECRET_ACCESS_KEY right, and the region (AWS_REGION)?",
    "AccessDenied": "the credentials must allow to list, read, write and delete here",
    "NoSuchBucket": "make the bucket first; is its name right?",
    "ContainerNotFound": "make the container first; is its name right?",
    "AuthorizationHeaderMalformed": "set AWS_REGION to the bucket's region",
    "PermanentRedirect": "set AWS_REGION to the bucket's region",
    "SlowDown": "the server asks for fewer requests: try again with a smaller -j",
}
_STATUS_HINTS = {
    "401": "are the credentials in the environment, and right?",
    "403": "access is denied: are the credentials right, and allowed to do this?",
    "404": "is the bucket's name right?",
}
_NO_BUCKET = re.compile(r"<Code>(?:NoSuchBucket|ContainerNotFound)<")
_COMPLETING = re.compile(r"performing POST \S+[?&]uploadId=")
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(r"<Message>([^<\n]{1,300})")


class ConflictError(RemoteError):
    """A conditional request failed: the object is not, or no longer, as it was expected."""


@contextmanager
def faults(where: str) -> Iterator[None]:
    """Turn the library's errors into RemoteError that names `where`.

    A failed condition becomes ConflictError; an object that is not there stays
    FileNotFoundError, a bucket that is not there does not.
    """
    from obstore import exceptions  # noqa: PLC0415 - 20 ms

    conflicts = (exceptions.AlreadyExistsError, exceptions.PreconditionError)
    try:
        yield
    except conflicts as error:
        raise ConflictError(f"{where}: {_words(error)}", "run again") from None
    except FileNotFoundError as error:
        if _NO_BUCKET.search(str(error)):
            raise _fault(where, error) from None
        raise
    # The last is what the library says of what a kind of store cannot do, as conditional writes.
    except (exceptions.BaseError, ValueError, NotImplementedError) as error:
        raise _fault(where, error) from None


def _fault(where: str, error: Exception) -> RemoteError:
    """Return what to tell a user about an error of the library."""
    text = str(error)
    if "169.254.169.254" in text or "metadata.google.internal" in text:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what your cloud asks for"
        return RemoteError(f"{where}: no credentials were found in the environment", hint)
    if "Account must be specified" in text:
        message = f"{where}: the environment does not say whose storage account this is in"
        return RemoteError(message, "set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY")
    code, status = _CODE.search(text), _STATUS.search(text)
    hint = _HINTS.get(code[1], "") if code else ""
    if not hint and status:
        hint = _STATUS_HINTS.get(status[1], "")
    return RemoteError(f"{where}: {_words(error)}", hint)


def _words(error: Exception) -> str:
    """Return what a server said, without the request that it repeats."""
    text = str(error).partition("\n\nDebug source:")[0]
    code, message, status = _CODE.search(text), _MESSAGE.search(text), _STATUS.search(text)
    if code or status:
        answered = f"the server answered {status[1]}" if status else "the server answered"
        said = " ".join(found[1] for found in (code, message) if found)
        if _COMPLETING.search(text):
            answered += " to CompleteMultipartUpload"
        return f"{answered}: {said}" if said else answered
    if "without LOCATION" in text:
        return "the bucket is in another region: set AWS_REGION"
    if "error sending request" in text or "connect" in text.lower():
        return "the server cannot be reached, or cuts the connection"
    return redacted(text.splitlines()[0] if text else type(error).__name__)[:300]
