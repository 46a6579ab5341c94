"""Every refusal that the rules can end in: status, stable code, message, headers.

The codes are the closed enum ``ErrorBody.code`` of ``spec/schemas/common.yaml``. What is said to the
client stands in the spec: the message of the example that shows the code, in the reply declared for
the status. ``WWW-Authenticate`` is set here only where the rule alone knows it (RFC 6750 section 3,
RFC 9470 section 3); elsewhere the contract layer adds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


class Refusal(Exception):
    """A request that the rules refuse.

    Class attributes give the HTTP status and the code; ``headers`` are sent with the reply.
    ``wording`` names the example whose message is sent, where it is another than that of the code.
    """

    status: int = 400
    code: str = "invalid_request"
    wording: str | None = None

    def __init__(
        self, wording: str | None = None, *, headers: Mapping[str, str] | None = None
    ) -> None:
        self.wording = wording or type(self).wording
        self.headers: Mapping[str, str] = MappingProxyType(dict(headers or {}))
        super().__init__(self.wording or self.code)


class InvalidToken(Refusal):
    """A bearer or refresh token that is no good: unknown, expired, ended, forged, reused."""

    status, code = 401, "invalid_token"

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class InvalidRefreshToken(Refusal):
    """A refresh token that is no good. It travels in a body, so the challenge is a bare one."""

    status, code = 401, "invalid_token"
    wording = "invalid_refresh_token"


class InsufficientAuthentication(Refusal):
    """The session's assurance or freshness is below what the operation asks for (RFC 9470)."""

    status, code = 401, "insufficient_user_authentication"

    def __init__(self, acr_values: str, max_age: int | None = None) -> None:
        """``acr_values`` names the level, ``max_age`` is in seconds (RFC 9470 section 3)."""
        value = (
            'Bearer error="insufficient_user_authentication", '
            'error_description="A more recent or stronger authentication is required", '
            f'acr_values="{acr_values}"'
        )
        if max_age is not None:
            value += f', max_age="{max_age}"'
        super().__init__(headers={"WWW-Authenticate": value})


class InvalidCredentials(Refusal):
    """One answer whichever part was wrong, so that none can be probed by itself."""

    status, code = 401, "invalid_credentials"


class InvalidCode(Refusal):
    """A well-formed code that is wrong, late or spent."""

    status, code = 401, "invalid_code"


class InvalidChallenge(Refusal):
    """A challenge that is unknown, expired, spent, exhausted or of another session."""

    status, code = 401, "invalid_challenge"


class FactorLocked(Refusal):
    """The TOTP factor is locked after too many wrong codes in a row (NIST 800-63B-4 3.2.2)."""

    status, code = 401, "factor_locked"


class RegistrationClosed(Refusal):
    status, code = 403, "registration_closed"


class Forbidden(Refusal):
    """The account has not the role that the operation asks for."""

    status, code = 403, "forbidden"


class NotFound(Refusal):
    status, code = 404, "not_found"


class Gone(Refusal):
    """The operation has ended; nothing of the request has been looked at."""

    status, code = 410, "gone"


class UsernameTaken(Refusal):
    status, code = 409, "username_taken"


class PasswordRefused(Refusal):
    """A well-formed password that the policy refuses; a 409, for the schema cannot say it."""

    status, code = 409, "password_refused"


class NoPendingEnrollment(Refusal):
    status, code = 409, "no_pending_enrollment"


class MFANotEnabled(Refusal):
    status, code = 409, "mfa_not_enabled"


class OwnAccount(Refusal):
    """What an administrator may do to every account but their own."""

    status, code = 409, "own_account"


class TooManyAttempts(Refusal):
    """A guess budget is closed; nothing that was sent has been looked at."""

    status, code = 429, "too_many_attempts"

    def __init__(self, budget: str, retry_after: int, quota: int) -> None:
        """``retry_after`` is in whole seconds, at least 1; ``quota`` is the number of free guesses."""
        super().__init__(
            headers={
                "Retry-After": str(retry_after),
                "RateLimit": f'"{budget}";r=0;t={retry_after}',
                "RateLimit-Policy": f'"{budget}";q={quota}',
            }
        )


class TooManyRequests(Refusal):
    """A flood limit is spent; nothing of the request but its sender has been looked at."""

    status, code = 429, "too_many_requests"

    def __init__(self, limit: str, retry_after: int, quota: int, window: int) -> None:
        """``limit`` names what is counted: ``address``, ``user`` or ``operation``.

        ``quota`` requests pass in ``window`` seconds; the next one in ``retry_after``, at least 1.
        """
        super().__init__(
            headers={
                "Retry-After": str(retry_after),
                "RateLimit": f'"{limit}";r=0;t={retry_after}',
                "RateLimit-Policy": f'"{limit}";q={quota};w={window}',
            }
        )


class Unavailable(Refusal):
    """Something the decision depends on did not answer: refuse, issue nothing."""

    status, code = 503, "unavailable"

    def __init__(self, wording: str | None = None, *, retry_after: int = 1) -> None:
        """``retry_after`` is in whole seconds; where nobody can tell, so that none tries at once."""
        super().__init__(wording, headers={"Retry-After": str(retry_after)})


class KeysUnfit(Unavailable):
    """A key that stored rows need is missing or wrong, or the key directory cannot be read."""

    wording = "unfit_key"
