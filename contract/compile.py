"""Compiles a bundle into what is needed per request, so that nothing is left to do then."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from contract.bundle import Bundle
from contract.diagnostics import Diagnostic, SpecError, error, in_order
from contract.extensions import Registry
from contract.grammar import METHODS
from contract.media import JSON_TYPE, essence
from contract.operation import (
    ORPHANS,
    BodyRule,
    HeaderRule,
    Operation,
    Parameter,
    ResponseRule,
    Security,
)
from contract.replies import read_failure
from contract.rules import Rules
from contract.scalars import SCALARS
from contract.schema import JSON, Direction, followed, resolve, translate
from contract.servers import base_path
from contract.size import limit
from contract.violations import step

# OpenAPI 3.0.3, Parameter Object: these names are described elsewhere and ignored here.
_RESERVED_HEADERS = frozenset({"accept", "content-type", "authorization"})
# RFC 9110 section 5.5, without what is obsolete there.
FIELD_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_REVISION_DIGITS = 12
_SEGMENT = re.compile(r"[^{}]*|\{[^{}]+\}")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class Contract:
    """A spec ready to be enforced.

    `errors` are the rules of replies without an operation, by status: those of ORPHANS that the root
    lists. `base_path` is the path of the first server, without a slash at the end. `revision` names
    what the document says: twelve hexadecimal digits, the same for the same document.
    """

    bundle: Bundle = field(repr=False)
    operations: Mapping[str, Operation]
    errors: Mapping[str, ResponseRule]
    base_path: str
    revision: str

    @property
    def document(self) -> dict[str, Any]:
        return self.bundle.document


def compile_contract(bundle: Bundle, registry: Registry) -> Contract:
    """Raises SpecError with every place that asks for something that cannot be enforced."""
    return _Compiler(bundle, registry).run()


def revision_of(document: JSON) -> str:
    """The beginning of a document's SHA-256, over its canonical form."""
    written = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(written.encode("utf-8")).hexdigest()[:_REVISION_DIGITS]


def snake_case(name: str) -> str:
    """`setupMFA` -> `setup_mfa`, `getJWKS` -> `get_jwks`."""
    return _WORDS.sub("_", name).replace("-", "_").lower()


class _Compiler:
    def __init__(self, bundle: Bundle, registry: Registry) -> None:
        self._bundle = bundle
        self._document = bundle.document
        self._registry = registry
        self._problems: list[Diagnostic] = []
        self._responses: dict[str, ResponseRule] = {}

    def run(self) -> Contract:
        operations = {op.id: op for op in self._operations()}
        errors = dict(self._orphans())
        contract = Contract(
            self._bundle,
            MappingProxyType(operations),
            MappingProxyType(errors),
            base_path(self._document),
            revision_of(self._document),
        )
        if self._problems:
            raise SpecError(in_order(self._problems))
        return contract

    def _refuse(self, pointer: str, message: str) -> None:
        self._problems.append(error(self._bundle.where(pointer), message))

    def _resolve(self, pointer: str, value: JSON) -> tuple[str, JSON]:
        """What a reference leads to, with the pointer to it."""
        return followed(pointer, value, self._document)

    # -- operations --------------------------------------------------------------------------

    def _operations(self) -> Iterator[Operation]:
        for path, item in self._document["paths"].items():
            pointer = f"/paths{step(path)}"
            if not all(_SEGMENT.fullmatch(segment) for segment in path.split("/")):
                self._refuse(pointer, "a path parameter is a whole segment, as in /users/{id}")
            for method, spec in item.items():
                if method in METHODS:
                    yield self._operation(path, item, method, spec, f"{pointer}/{method}")

    def _operation(self, path: str, item: JSON, method: str, spec: JSON, here: str) -> Operation:
        responses = {
            status: self._response(f"{here}/responses{step(status)}", response)
            for status, response in spec["responses"].items()
            if not status.startswith("x-")
        }
        success = next(status for status in responses if status.startswith("2"))
        return Operation(
            id=spec["operationId"],
            method=method.upper(),
            path=path,
            stem=self._bundle.stems[path],
            function=snake_case(spec["operationId"]),
            security=self._security(spec, here),
            body=self._body(spec, here),
            parameters=tuple(self._parameters(path, item, spec, here)),
            responses=MappingProxyType(responses),
            success=int(success),
            message=responses[success].description,
            envelope=self._is_envelope(spec["responses"][success]),
            extensions=self._extensions(spec),
            pointer=here,
        )

    def _is_envelope(self, response: JSON) -> bool:
        content = resolve(response, self._document).get("content", {})
        schema = content.get(JSON_TYPE, {}).get("schema", {})
        return "success" in self._merged_names(schema)

    def _merged_names(self, schema: JSON) -> set[str]:
        schema = resolve(schema, self._document)
        parts = (self._merged_names(part) for part in schema.get("allOf", ()))
        return set(schema.get("properties", ())).union(*parts)

    def _extensions(self, spec: JSON) -> Mapping[str, Any]:
        read = {}
        for key, value in spec.items():
            extension = self._registry.get(key) if key.startswith("x-") else None
            if extension is not None:
                read[key] = extension.read(value)
        return MappingProxyType(read)

    # -- requests ----------------------------------------------------------------------------

    def _security(self, spec: JSON, here: str) -> Security:
        inherited = "security" not in spec
        requirements = self._document.get("security", []) if inherited else spec["security"]
        schemes = self._document.get("components", {}).get("securitySchemes", {})
        for name in {name for requirement in requirements for name in requirement}:
            scheme = resolve(schemes.get(name, {}), self._document)
            if (scheme.get("type"), str(scheme.get("scheme")).lower()) != ("http", "bearer"):
                place = "/security" if inherited else f"{here}/security"
                self._refuse(place, f'"{name}" is not an http bearer scheme, which alone is served')
        return Security(
            bearer=any(requirements), mandatory=bool(requirements) and all(requirements)
        )

    def _body(self, spec: JSON, here: str) -> BodyRule | None:
        if "requestBody" not in spec:
            return None
        pointer, body = self._resolve(f"{here}/requestBody", spec["requestBody"])
        content = body["content"]
        for media_type in content:
            if media_type != JSON_TYPE:
                where = f"{pointer}/content{step(media_type)}"
                self._refuse(where, f"a request body is {JSON_TYPE}, which alone is read")
        schema = content.get(JSON_TYPE, {}).get("schema", {})
        where = f"{pointer}/content{step(JSON_TYPE)}/schema"
        return BodyRule(
            required=body.get("required", False),
            rules=self._rules(where, schema, "request"),
            limit=limit(translate(schema, self._document, "request")),
        )

    def _parameters(self, path: str, item: JSON, spec: JSON, here: str) -> Iterator[Parameter]:
        above = f"/paths{step(path)}/parameters"
        merged: dict[tuple[str, str], tuple[str, JSON]] = {}
        for pointer, members in (
            (above, item.get("parameters", ())),
            (f"{here}/parameters", spec.get("parameters", ())),
        ):
            for index, member in enumerate(members):
                place, parameter = self._resolve(f"{pointer}/{index}", member)
                merged[parameter["in"], parameter["name"]] = (place, parameter)
        for place, parameter in merged.values():
            if parameter["in"] == "header" and parameter["name"].lower() in _RESERVED_HEADERS:
                continue
            if (compiled := self._parameter(place, parameter)) is not None:
                yield compiled

    def _parameter(self, place: str, spec: JSON) -> Parameter | None:
        if spec["in"] == "cookie":
            self._refuse(place, "a cookie parameter is not served: use a header")
            return None
        scalar = self._scalar(place, spec, "request")
        if scalar is None:
            return None
        kind, rules, schema = scalar
        return Parameter(
            name=spec["name"],
            where=spec["in"],
            argument=snake_case(spec["name"]) if spec["in"] == "header" else spec["name"],
            required=spec.get("required", False),
            type=kind,
            rules=rules,
            default=schema.get("default"),
        )

    # -- replies -----------------------------------------------------------------------------

    def _orphans(self) -> Iterator[tuple[str, ResponseRule]]:
        responses, where = self._document["components"]["responses"], self._bundle.where
        for status, name in ORPHANS.items():
            pointer = f"/components/responses/{name}"
            # Another file can have a component of this name for its operations.
            if name in responses and where(pointer, key=True).file == where("").file:
                yield status, self._response(pointer, responses[name])

    def _response(self, pointer: str, spec: JSON) -> ResponseRule:
        pointer, spec = self._resolve(pointer, spec)
        if pointer not in self._responses:
            self._responses[pointer] = self._compile_response(pointer, spec)
        return self._responses[pointer]

    def _compile_response(self, pointer: str, spec: JSON) -> ResponseRule:
        headers = dict(self._headers(pointer, spec))
        return ResponseRule(
            description=spec["description"].strip(),
            content=MappingProxyType(dict(self._content(pointer, spec))),
            headers=MappingProxyType(headers),
            constants=tuple((h.name, h.constant) for h in headers.values() if h.constant),
            required=tuple(name for name, h in headers.items() if h.required),
            wordings=MappingProxyType(self._wordings(spec)),
        )

    def _wordings(self, spec: JSON) -> dict[str, str]:
        """The messages of the error examples. A code is said by the example of its name, or the first."""
        named: dict[str, str] = {}
        of_codes: dict[str, str] = {}
        for media in spec.get("content", {}).values():
            for name, value in self._examples(media):
                if (said := read_failure(value)) is not None:
                    code, message = said
                    named |= {name: message} if name else {}
                    of_codes.setdefault(code, message)
        return of_codes | named

    def _examples(self, media: JSON) -> Iterator[tuple[str, Any]]:
        """Name and value of what a media type shows; its one `example` has no name."""
        yield "", media.get("example")
        for name, example in media.get("examples", {}).items():
            yield name, resolve(example, self._document).get("value")

    def _headers(self, pointer: str, spec: JSON) -> Iterator[tuple[str, HeaderRule]]:
        for name, member in spec.get("headers", {}).items():
            if name.lower() == "content-type":  # OpenAPI 3.0.3: said by `content`, ignored here
                continue
            place, header = self._resolve(f"{pointer}/headers{step(name)}", member)
            scalar = self._scalar(place, header, "response")
            if scalar is not None:
                kind, rules, schema = scalar
                required = header.get("required", False)
                constant = _constant(schema) if required else None
                if constant is not None and not FIELD_VALUE.fullmatch(constant):
                    self._refuse(f"{place}/schema", "its one value cannot stand in a header")
                yield name.lower(), HeaderRule(name, required, kind, rules, constant)

    def _content(self, pointer: str, spec: JSON) -> Iterator[tuple[str, Rules]]:
        for media_type, media in spec.get("content", {}).items():
            place = f"{pointer}/content{step(media_type)}"
            if essence(media_type) != media_type:
                self._refuse(place, f'write "{media_type}" in lower case, without parameters')
            yield media_type, self._rules(f"{place}/schema", media.get("schema", {}), "response")

    # -- schemas -----------------------------------------------------------------------------

    def _scalar(
        self, place: str, spec: JSON, direction: Direction
    ) -> tuple[str, Rules, JSON] | None:
        """Type, rules and schema of a parameter or header; None where it is no scalar."""
        schema = resolve(spec.get("schema", {}), self._document)
        kind = schema.get("type")
        if kind not in SCALARS:
            self._refuse(place, "a parameter or header is served as a scalar only: give its type")
            return None
        return kind, self._rules(f"{place}/schema", schema, direction), schema

    def _rules(self, pointer: str, schema: JSON, direction: Direction) -> Rules:
        try:
            return Rules(
                translate(schema, self._document, direction), closed=direction == "response"
            )
        except ValueError as exc:
            self._refuse(pointer, f"the schema cannot be compiled: {exc}")
            return Rules({})


def _constant(schema: JSON) -> str | None:
    """The one value that an enum leaves, as it stands in a header."""
    values = schema.get("enum", ())
    if len(values) != 1 or values[0] is None:
        return None
    return values[0] if isinstance(values[0], str) else json.dumps(values[0])
