"""Rules of responses and their headers, and of links."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from contract.diagnostics import closest
from contract.lint.lens import Found, Lens, join
from contract.replies import read_failure

# RFC 9110 sections 11.6.1, 10.2.1 and RFC 6585 section 4; the request id is the house's own.
_EVERY = ("X-Request-ID",)
_BY_STATUS = {"401": ("WWW-Authenticate",), "405": ("Allow",), "429": ("Retry-After",)}
_BY_NAME = {"MethodNotAllowed": ("Allow",), "Options": ("Allow",)}
_WITHOUT_BODY = frozenset({"204", "304"})

# Names that a header one letter off was surely meant to have.
_COMMON = (
    *("Age", "Allow", "Cache-Control", "Content-Disposition", "Content-Language", "Deprecation"),
    *("ETag", "Expires", "Last-Modified", "Link", "Location", "RateLimit", "RateLimit-Policy"),
    *("Retry-After", "Sunset", "Vary", "WWW-Authenticate", "X-Content-Type-Options"),
    *("X-Request-ID", "Strict-Transport-Security", "Content-Security-Policy", "Referrer-Policy"),
)
_FOLDED = {name.lower(): name for name in _COMMON}


def check(lens: Lens) -> None:
    for response in lens.objects["response"]:
        _needs(lens, response, _EVERY, "every reply")
        _header_names(lens, response)
        _error_examples(lens, response)
    for status, response in _by_status(lens):
        _needs(lens, response, _BY_STATUS.get(status, ()), f"a {status}")
        if status in _WITHOUT_BODY and "content" in response.value:
            lens.error(join(response.pointer, "content"), f"a {status} has no body", key=True)
    for name, headers in _BY_NAME.items():
        response = lens.resolve("", {"$ref": f"#/components/responses/{name}"})
        if response.value:
            _needs(lens, response, headers, name)
    for header in lens.objects["header"]:
        if not {"schema", "content"} & header.value.keys() and lens.whole(header.pointer):
            lens.error(header.pointer, 'a header needs a "schema"', key=True)


def _error_examples(lens: Lens, response: Found) -> None:
    """The message of a code is looked up by the name of an example, which must not show another."""
    for _, media_type in lens.members(response, "content"):
        code = lens.member(media_type, "schema", "properties", "error", "properties", "code")
        for name, example in lens.members(media_type, "examples"):
            shown = read_failure(example.value.get("value"))
            if shown and name != shown[0] and name in code.value.get("enum", ()):
                place = join(example.pointer, "value", "error", "code")
                lens.error(place, f'the example "{name}" shows the code "{shown[0]}"')


def _by_status(lens: Lens) -> Iterator[tuple[str, Found]]:
    for operation in lens.operations():
        for status, response in lens.members(operation.found, "responses"):
            if join(operation.pointer, "responses", status) not in lens.named:
                yield status, response


def _needs(lens: Lens, response: Found, headers: tuple[str, ...], what: str) -> None:
    pointer = join(response.pointer, "headers")
    if not lens.whole(response.pointer, pointer):
        return
    declared = {_meant(name).lower() for name in response.value.get("headers", ())}
    for name in headers:
        if name.lower() not in declared:
            place = pointer if declared else response.pointer
            lens.error(place, f'{what} needs the header "{name}"', key=True)


@cache
def _meant(name: str) -> str:
    """The common header that a name is, or is one slip away from; else the name itself."""
    return _FOLDED.get(closest(name.lower(), _FOLDED, 0.8) or "", name)


def _header_names(lens: Lens, response: Found) -> None:
    for name in response.value.get("headers", ()):
        if (meant := _meant(name)).lower() != name.lower():
            message = f'unusual header "{name}" (did you mean "{meant}"?)'
            lens.error(join(response.pointer, "headers", name), message, key=True)
