"""The fixtures of the rules' tests: handlers are tried over the real thing."""

from tests.domain.conftest import ann, bob, clock, person, services, store

__all__ = ["ann", "bob", "clock", "person", "services", "store"]
