"""What is wrong with a value, said without the value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal["body", "query", "header", "path"]


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule.

    `pointer` is a JSON pointer (RFC 6901) to the value, or to its parent where its own name is
    not known to the schema: such a name was submitted, and what was submitted is never repeated.
    `keyword` is the schema keyword, `message` the rule.
    """

    location: Place
    pointer: str
    keyword: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return {
            "location": self.location,
            "pointer": self.pointer,
            "keyword": self.keyword,
            "message": self.message,
        }


class Invalid(Exception):
    """A request that does not fit: answered with 400 and all violations at once."""

    def __init__(self, *violations: Violation) -> None:
        self.violations = violations
        super().__init__("the request does not fit its schema")


def step(name: str | int) -> str:
    """One reference token of a JSON pointer, with its slash (RFC 6901 section 3)."""
    return "/" + str(name).replace("~", "~0").replace("/", "~1")
