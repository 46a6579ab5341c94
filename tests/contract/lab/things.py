"""Handlers of the lab: each does what the stage says and tells it what it was given."""

from __future__ import annotations

from typing import Any


def list_things(
    services: Any,
    limit: int,
    named: str | None,
    fresh: bool | None,
    ratio: float | None,
    x_trace: str | None,
) -> Any:
    given = {"limit": limit, "named": named, "fresh": fresh, "ratio": ratio, "x_trace": x_trace}
    return services.play("listThings", **given)


def create_thing(services: Any, body: dict[str, Any], caller: str) -> Any:
    return services.play("createThing", body=body, caller=caller)


def latest_thing(services: Any) -> Any:
    return services.play("latestThing")


def get_thing(services: Any, thing_id: str) -> Any:
    return services.play("getThing", thing_id=thing_id)


def remove_thing(services: Any, thing_id: str, session: Any) -> Any:
    return services.play("removeThing", thing_id=thing_id, session=session)


def get_plain(services: Any) -> Any:
    return services.play("getPlain")
