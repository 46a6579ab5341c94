"""Settings: ``COUNTERSIGN_*`` environment variables, read once into one frozen object."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

PREFIX = "COUNTERSIGN_"

Network = IPv4Network | IPv6Network

# RFC 6454 section 6.2, as a browser writes it: in lower case, the default port left out.
_ORIGIN = re.compile(
    r"(?:http(?!.*:80$)|https(?!.*:443$))://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?"
)
_REDIS = re.compile(r"(?:rediss?|unix)://[^\s]+")


class SettingsError(Exception):
    """The environment holds a setting that is unknown, malformed or too weak.

    ``str()`` is one line a problem; it names variables and rules, never values.
    """


class Settings(BaseModel):
    """One attribute a variable; the README's table describes each."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True
    )

    env: Literal["development", "production"] = "development"
    database_url: str = "sqlite:///var/countersign.db"
    spec: Path = Path("spec/openapi.yaml")
    issuer: Annotated[str, Field(pattern=r"^https?://[^\s/]+[^\s]*$")] = "http://localhost:8080"
    audience: Annotated[str, Field(min_length=1)] = "countersign"
    totp_issuer: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^:\x00-\x1f]+$")] = (
        "Countersign"
    )
    key_dir: Path = Path("var/keys")
    contract: Literal["enforce", "report"] = "enforce"
    registration: Literal["open", "closed"] = "open"
    trusted_proxies: tuple[Network, ...] = ()
    redis_url: str | None = None
    cors_origins: tuple[str, ...] = ()
    features_off: tuple[str, ...] = ()

    @field_validator("features_off", mode="before")
    @classmethod
    def _split_features(cls, value: object) -> object:
        return _parts(value) if isinstance(value, str) else value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        return tuple(map(ip_network, _parts(value))) if isinstance(value, str) else value

    @field_validator("redis_url")
    @classmethod
    def _is_served(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not _REDIS.fullmatch(value):
            raise ValueError("is a redis://, rediss:// or unix:// URL")
        if find_spec("redis") is None:
            raise ValueError('needs the extra "redis", which is not installed')
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        origins = _parts(value)
        if not all(map(_ORIGIN.fullmatch, origins)):
            # What no browser sends would have no effect, and * would let every page in.
            raise ValueError(
                "lists origins as browsers send them: scheme://host[:port], in lower case,"
                " without a default port, a path or a wildcard"
            )
        return origins

    @model_validator(mode="after")
    def _refuse_weak_production(self) -> Self:
        if self.env != "production":
            return self
        if not self.issuer.startswith("https://"):
            raise ValueError("COUNTERSIGN_ISSUER must be an https URL in production")
        if self.contract != "enforce":
            raise ValueError("COUNTERSIGN_CONTRACT must be enforce in production")
        if any(network.prefixlen == 0 for network in self.trusted_proxies):
            # Everybody could choose an address, and with it the budget that guesses draw on.
            raise ValueError("COUNTERSIGN_TRUSTED_PROXIES must not be everybody in production")
        if not all(origin.startswith("https://") for origin in self.cors_origins):
            raise ValueError("COUNTERSIGN_CORS_ORIGINS must be https origins in production")
        return self


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from ``environ`` (the process environment where None).

    Raises SettingsError listing every problem at once, unknown ``COUNTERSIGN_*`` names included.
    """
    names = os.environ if environ is None else environ
    given = {
        name[len(PREFIX) :].lower(): value
        for name, value in names.items()
        if name.startswith(PREFIX)
    }
    unknown = sorted(set(given) - set(Settings.model_fields))
    problems = [f"{PREFIX}{name.upper()}: unknown setting" for name in unknown]
    try:
        settings = Settings.model_validate(
            {name: value for name, value in given.items() if name not in unknown}
        )
    except ValidationError as error:
        problems += [_line(item["loc"], item["msg"]) for item in error.errors()]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _parts(value: str) -> tuple[str, ...]:
    """What a list between commas holds."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _line(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{PREFIX}{str(location[0]).upper()}: {text}" if location else text
