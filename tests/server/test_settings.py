"""Settings are read once, and refuse what is unknown, malformed or weak."""

from __future__ import annotations

import pytest

from server.settings import SettingsError, load

PRODUCTION = {"COUNTERSIGN_ENV": "production", "COUNTERSIGN_ISSUER": "https://id.example.org"}


def test_the_defaults_serve_development() -> None:
    settings = load({})
    assert settings.env == "development"
    assert settings.database_url == "sqlite:///var/countersign.db"
    assert settings.registration == "open"


def test_variables_of_others_are_left_alone() -> None:
    assert load({"PATH": "/bin", "COUNTERSIGNATURE": "x"}) == load({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COUNTERSIGN_REGISTRATON", "closed"),
        ("COUNTERSIGN_ENV", "staging"),
        ("COUNTERSIGN_CONTRACT", "off"),
        ("COUNTERSIGN_REGISTRATION", "maybe"),
        ("COUNTERSIGN_ISSUER", "localhost"),
        ("COUNTERSIGN_AUDIENCE", ""),
        ("COUNTERSIGN_TOTP_ISSUER", "a:b"),
        ("COUNTERSIGN_TRUSTED_PROXIES", "10.0.0.0/8,banana"),
        ("COUNTERSIGN_REDIS_URL", "http://127.0.0.1:6379"),
        ("COUNTERSIGN_REDIS_URL", ""),
        ("COUNTERSIGN_CORS_ORIGINS", "*"),
        ("COUNTERSIGN_CORS_ORIGINS", "null"),
        ("COUNTERSIGN_CORS_ORIGINS", "https://app.example.org,https://*.example.org"),
        ("COUNTERSIGN_CORS_ORIGINS", "https://app.example.org/"),
        ("COUNTERSIGN_CORS_ORIGINS", "https://App.example.org"),
        ("COUNTERSIGN_CORS_ORIGINS", "https://app.example.org:443"),
        ("COUNTERSIGN_CORS_ORIGINS", "http://app.example.org:80"),
        ("COUNTERSIGN_CORS_ORIGINS", "https://user@app.example.org"),
        ("COUNTERSIGN_CORS_ORIGINS", "app.example.org"),
    ],
)
def test_a_setting_that_is_unknown_or_malformed_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        load({name: value})
    assert not value or value not in str(raised.value)


def test_all_problems_are_listed_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        load({"COUNTERSIGN_ENV": "x", "COUNTERSIGN_NOPE": "y", "COUNTERSIGN_CONTRACT": "z"})
    assert len(str(raised.value).splitlines()) == 3


def test_production_takes_strong_settings() -> None:
    assert load(PRODUCTION).env == "production"


@pytest.mark.parametrize(
    "weak",
    [
        {"COUNTERSIGN_ISSUER": "http://id.example.org"},
        {"COUNTERSIGN_CONTRACT": "report"},
        {"COUNTERSIGN_TRUSTED_PROXIES": "10.0.0.0/8,0.0.0.0/0"},
        {"COUNTERSIGN_AUDIENCE": " "},
        {"COUNTERSIGN_CORS_ORIGINS": "https://app.example.org,http://app.example.org"},
    ],
)
def test_production_refuses_weak_settings(weak: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(weak))):
        load(PRODUCTION | weak)


def test_settings_cannot_change_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load({}).audience = "other"  # type: ignore[misc]


def test_proxies_are_networks() -> None:
    networks = load({"COUNTERSIGN_TRUSTED_PROXIES": "10.0.0.0/8, ::1"}).trusted_proxies
    assert [str(network) for network in networks] == ["10.0.0.0/8", "::1/128"]


def test_origins_are_told_apart_by_scheme_host_and_port() -> None:
    listed = "https://app.example.org, http://localhost:3000,https://[2001:db8::1]:8443"
    assert load({"COUNTERSIGN_CORS_ORIGINS": listed}).cors_origins == (
        "https://app.example.org",
        "http://localhost:3000",
        "https://[2001:db8::1]:8443",
    )
    production = PRODUCTION | {"COUNTERSIGN_CORS_ORIGINS": "https://app.example.org"}
    assert load(production).cors_origins == ("https://app.example.org",)


@pytest.mark.parametrize("scheme", ["redis://", "rediss://:secret@", "unix:///"])
def test_redis_is_named_by_a_url(scheme: str) -> None:
    url = f"{scheme}127.0.0.1"
    assert load({"COUNTERSIGN_REDIS_URL": url}).redis_url == url


def test_redis_without_its_extra_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.settings.find_spec", lambda name: None if name == "redis" else 1)
    with pytest.raises(SettingsError, match='COUNTERSIGN_REDIS_URL: needs the extra "redis"'):
        load({"COUNTERSIGN_REDIS_URL": "redis://127.0.0.1"})
