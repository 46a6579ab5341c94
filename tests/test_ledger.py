"""The leak scanner finds what it is there to find, and nothing else."""

from __future__ import annotations

import json

from tests.support.ledger import Ledger

TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLWEtdG9rZW4"


def signed_in() -> Ledger:
    ledger = Ledger()
    ledger.sent({"username": "ann", "password": "open sesame, please"}, None)
    ledger.received("login", "200", json.dumps({"data": {"access_token": TOKEN}}).encode())
    return ledger


def test_the_reply_that_hands_a_secret_out_is_no_leak() -> None:
    assert signed_in().leaks() == []


def test_a_token_in_a_later_reply_is_found() -> None:
    ledger = signed_in()
    ledger.sent(None, TOKEN)
    ledger.received("status", "200", json.dumps({"data": {"echo": TOKEN}}).encode())
    assert len(ledger.leaks()) == 1


def test_a_password_in_a_header_or_log_line_is_found() -> None:
    ledger = signed_in()
    ledger.received("login", "400\nx-why: open sesame, please", b"{}")
    ledger.lines.append(("server", "rejected 'open sesame, please'"))
    assert len(ledger.leaks()) == 2


def test_a_code_is_found_where_it_stands_alone_only() -> None:
    ledger = Ledger()
    ledger.sent({"code": "492039"}, None)
    ledger.lines.append(("server", '{"time": "09:00:00.492039Z", "id": "ab492039cd"}'))
    assert ledger.leaks() == []
    ledger.lines.append(("server", "the code 492039 was wrong"))
    assert len(ledger.leaks()) == 1


def test_a_leak_report_holds_no_secret() -> None:
    ledger = signed_in()
    ledger.lines.append(("server", TOKEN))
    assert TOKEN not in "".join(ledger.leaks())
