"""``/docs`` from files shipped with a package, ``/openapi.json`` and ``/openapi.yaml``.

Beside each operation the page shows what the spec decides for it (``server/explain.py``), and above
them all it links the workflows that stand beside the spec. Nothing is fetched from another host, and
the policy headers say so to the browser.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import swagger_ui_bundle
import yaml
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.lint import workflows

PREFIX = "/docs"
_PAGE = Path(__file__).parent / "static"
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # every process writes it at its start
_ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_CLOSED = {
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
# A document of data draws nothing and is drawn in nothing.
_DATA = _CLOSED | {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
_PAGE_HEADERS = _CLOSED | {
    # Swagger UI sets style attributes and draws its icons from data URIs; scripts are files only.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
}


def pages(
    document: dict[str, Any],
    explained: Callable[[], Any],
    texts: Mapping[str, str],
    off: frozenset[str] = frozenset(),
) -> dict[str, ASGIApp]:
    """Every page by its exact path, made once.

    ``document`` is the bundle, ``explained`` makes what is shown beside the operations; it is
    called when somebody first looks. ``texts`` are the spec's files, ``off`` the operationIds that
    they have and the bundle has not.
    """
    as_json = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    as_yaml = yaml.dump(document, Dumper=_DUMPER, allow_unicode=True, sort_keys=False).encode()
    vendor = Path(str(swagger_ui_bundle.swagger_ui_path))
    found: dict[str, ASGIApp] = {
        "/openapi.json": Response(as_json, media_type="application/json", headers=_DATA),
        "/openapi.yaml": _yaml(as_yaml),
        # What the workflows call ../openapi.yaml.
        f"{PREFIX}/openapi.yaml": _yaml(as_yaml),
        PREFIX: RedirectResponse(f"{PREFIX}/", status_code=308, headers=_DATA),
        f"{PREFIX}/": _file(_PAGE / "index.html"),
    }
    found[f"{PREFIX}/explained.json"] = _Late(explained)
    found |= _workflows(texts, off)
    found |= {f"{PREFIX}/{name}": _file(_PAGE / name) for name in ("page.js", "page.css")}
    return found | {f"{PREFIX}/assets/{name}": _file(vendor / name) for name in _ASSETS}


def _workflows(texts: Mapping[str, str], off: frozenset[str]) -> dict[str, ASGIApp]:
    """The files of the workflows' folder, if there is one, and a list of the flows that can be gone."""
    below = ((file.partition("/")[2], text) for file, text in sorted(texts.items()))
    kept = {file: text for file, text in below if file.startswith(f"{workflows.FOLDER}/")}
    found: dict[str, ASGIApp] = {f"{PREFIX}/{f}": _yaml(t.encode()) for f, t in kept.items()}
    found[f"{PREFIX}/workflows.json"] = _Late(lambda: list(_entries(kept, off)))
    return found


def _entries(kept: Mapping[str, str], off: frozenset[str]) -> Iterator[dict[str, str]]:
    for file in filter(workflows.is_workflow, kept):
        content = yaml.safe_load(kept[file])
        if off.isdisjoint(_called(content)):
            info = content["info"]  # the lint asks for both
            yield {"file": file, "title": info["title"], "summary": info["summary"]}


def _called(content: dict[str, Any]) -> Iterator[str]:
    """The operationIds of all steps, without the source that stands before them."""
    for workflow in content.get("workflows", ()):
        for step in workflow.get("steps", ()):
            yield step.get("operationId", "").rpartition(".")[2]


class _Late:
    """A document that is made when it is first asked for: few starts are followed by a look."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Response | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._made is None:
            body = json.dumps(self._make(), ensure_ascii=False, separators=(",", ":")).encode()
            self._made = Response(body, media_type="application/json", headers=_DATA)
        await self._made(scope, receive, send)


def _yaml(content: bytes) -> Response:
    return Response(content, media_type="application/yaml", headers=_DATA)


def _file(path: Path) -> Response:
    media_type = mimetypes.guess_type(path.name)[0]
    return Response(path.read_bytes(), media_type=media_type, headers=_PAGE_HEADERS)
