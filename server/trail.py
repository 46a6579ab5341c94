"""The audit trail's way out of the rules: a line in the log for each event."""

from __future__ import annotations

import structlog

from domain.records import AuditEvent

log = structlog.get_logger("audit")


def tell(event: AuditEvent) -> None:
    """Log an event that is final. Number and hash let whoever collects the log anchor the chain.

    ``stored`` says whether there is a row: there is none of a refusal that looked at nothing.
    """
    log.info(
        event.event,
        audit=True,
        at=event.at.isoformat(timespec="microseconds"),
        result=event.result,
        reason=event.reason,
        user_id=event.user_id,
        actor_id=event.actor_id,
        session_id=event.session_id,
        factor=event.factor,
        address=event.address,
        request_id=event.request_id,
        stored=bool(event.number),
        number=event.number,
        hash=event.hash,
    )
