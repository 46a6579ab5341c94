"""Handlers of the lab that concern tokens."""

from __future__ import annotations

from typing import Any


def log_in(services: Any, body: dict[str, Any], session: str | None) -> Any:
    return services.play("logIn", body=body, session=session)


def open_secret(services: Any, body: dict[str, Any], session: Any) -> Any:
    return services.play("openSecret", body=body, session=session)
