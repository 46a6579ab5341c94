"""Rules of the root and of what is named across files: tags, security, components, replies."""

from __future__ import annotations

from contract.diagnostics import did_you_mean
from contract.lint.lens import Found, Lens, Operation, join
from contract.operation import ORPHANS, REQUIRED_ORPHANS
from contract.servers import Misplaced, path_of

# Replies that belong to no operation are held against these, so the root has to list them.
_LOOSE_REPLIES = [ORPHANS[status] for status in REQUIRED_ORPHANS]


def check(lens: Lens) -> None:
    if not str(lens.document.get("openapi", "3.0.")).startswith("3.0."):
        lens.error("/openapi", "only OpenAPI 3.0 is supported (write 3.0.3)")
    _servers(lens)
    _loose_replies(lens)
    _duplicate_tags(lens)
    _security_schemes(lens)
    _unused_components(lens)
    for operation in lens.operations():
        _tags(lens, operation)
        _security(lens, operation)


def _servers(lens: Lens) -> None:
    for server in lens.objects["server"]:
        if not isinstance(server.value.get("url"), str):
            continue
        try:
            path_of(server.value)
        except Misplaced as fault:
            lens.error(join(server.pointer, "url"), str(fault))


def _loose_replies(lens: Lens) -> None:
    components = lens.document.get("components", {})
    names = [n for n in components.get("responses", {}) if _in_root(lens, n)]
    if not lens.whole("", "/components", "/components/responses"):
        return
    for name in _LOOSE_REPLIES:
        if name not in names:
            place = "/components" if _in_root(lens) else "/paths"
            hint = did_you_mean(name, set(names) - set(_LOOSE_REPLIES))
            message = f'components.responses of the root must list "{name}"{hint}'
            lens.error(place, message, key=True)


def _in_root(lens: Lens, name: str = "") -> bool:
    pointer = f"/components/responses/{name}" if name else "/components"
    place = lens.bundle.where(pointer, key=True)
    return lens.bundle.where("").file == place.file


def _duplicate_tags(lens: Lens) -> None:
    seen: set[str] = set()
    for tag in lens.objects["tag"]:
        name = tag.value.get("name", "")
        if name in seen:
            lens.error(join(tag.pointer, "name"), f'the tag "{name}" is declared twice')
        seen.add(name)


def _tags(lens: Lens, operation: Operation) -> None:
    known = [tag.value.get("name", "") for tag in lens.objects["tag"]]
    for index, name in enumerate(operation.value.get("tags", ())):
        if name not in known and lens.whole("", "/tags"):
            hint = did_you_mean(name, known)
            message = f'the root declares no tag "{name}"{hint}'
            lens.error(join(operation.pointer, "tags", str(index)), message)


# -- security --------------------------------------------------------------------------------

_SCHEME_NEEDS = {
    "apiKey": ("name", "in"),
    "http": ("scheme",),
    "oauth2": ("flows",),
    "openIdConnect": ("openIdConnectUrl",),
}


def _security_schemes(lens: Lens) -> None:
    for scheme in lens.objects["securityScheme"]:
        kind = scheme.value.get("type")
        if kind is None:
            continue
        if kind not in _SCHEME_NEEDS:
            hint = did_you_mean(kind, _SCHEME_NEEDS)
            lens.error(join(scheme.pointer, "type"), f'unknown security type "{kind}"{hint}')
            continue
        for key in _SCHEME_NEEDS[kind]:
            if key not in scheme.value and lens.whole(scheme.pointer):
                lens.error(scheme.pointer, f'a scheme of type {kind} needs "{key}"', key=True)


def _security(lens: Lens, operation: Operation) -> None:
    if operation.security is None:
        if lens.whole(operation.pointer, ""):
            message = f"{operation.name} must say its security ([] where it needs none)"
            lens.error(operation.pointer, message, key=True)
        return
    base = operation.pointer if "security" in operation.value else ""
    for index, requirement in enumerate(operation.security):
        for name, scopes in requirement.items():
            _requirement(lens, join(base, "security", str(index), name), name, scopes)


def _requirement(lens: Lens, pointer: str, name: str, scopes: list[str]) -> None:
    schemes = lens.document.get("components", {}).get("securitySchemes", {})
    if name not in schemes:
        if lens.whole("", "/components", "/components/securitySchemes"):
            hint = did_you_mean(name, schemes)
            root = lens.bundle.where("").file
            lens.error(pointer, f'{root} has no security scheme "{name}"{hint}', key=True)
        return
    kind = lens.resolve("", schemes[name]).value.get("type")
    if scopes and kind not in ("oauth2", "openIdConnect"):
        lens.error(pointer, f'"{name}" has no scopes: write []')


# -- components ------------------------------------------------------------------------------


def _unused_components(lens: Lens) -> None:
    used = {target for _, target in lens.references}
    for requirement in lens.objects["securityRequirement"]:
        used |= {f"/components/securitySchemes/{name}" for name in requirement.value}
    root = Found("/components", lens.document.get("components", {}))
    for section, members in root.value.items():
        # Replies that the root lists are kept in stock, as one of an operation that will end.
        for name in members if not section.startswith("x-") and section != "responses" else ():
            pointer = join("/components", section, name)
            if pointer not in used:
                lens.say("warning", pointer, f'nothing refers to "{name}"', key=True)
