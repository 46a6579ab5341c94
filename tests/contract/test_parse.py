"""What counts as JSON on the way in."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.parse import DEPTH, NUMBER, Malformed, parse

REFUSED = {
    "invalid UTF-8": (b'{"code":"\xff\xfe"}', "utf-8"),
    "a PNG": (b"\x89PNG\r\n\x1a\n", "utf-8"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "utf-8"),
    "a byte order mark": (b'\xef\xbb\xbf{"a":1}', "json"),
    "an overlong encoding": (b'"\xc0\xaf"', "utf-8"),
    "an encoded surrogate": (b'"\xed\xa0\x80"', "utf-8"),
    "a lone surrogate": (b'{"a":"\\ud800"}', "utf-8"),
    "a lone surrogate in a name": (b'{"\\uDFFF":1}', "utf-8"),
    "half a pair and its other half, reversed": (b'"\\udc00\\ud800"', "utf-8"),
    "a million brackets": (b"[" * 1_000_000, "depth"),
    "deep objects": (b'{"a":' * 50_000, "depth"),
    "one level too many": (b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1), "depth"),
    "brackets after an unclosed string": (b'"' + b"[" * 50, "json"),
    "a huge integer": (b"1" * 5_000, "number"),
    "a long fraction": (b"0." + b"1" * NUMBER, "number"),
    "an integer one character too long": (b"1" * (NUMBER + 1), "number"),
    "a number out of range": (b"1e999", "number"),
    "a negative number out of range": (b"-1e999", "number"),
    "NaN": (b"NaN", "json"),
    "Infinity": (b'{"a":Infinity}', "json"),
    "-Infinity": (b"[-Infinity]", "json"),
    "the same name twice": (b'{"a":1,"a":2}', "duplicate"),
    "the same name twice, escaped": (b'{"a":1,"\\u0061":2}', "duplicate"),
    "the same name twice, deeper": (b'[{"b":{"a":1,"a":1}}]', "duplicate"),
    "nothing": (b"", "json"),
    "white space": (b" \n", "json"),
    "two values": (b"1 2", "json"),
    "a comment": (b"/**/1", "json"),
    "a trailing comma": (b"[1,]", "json"),
    "single quotes": (b"{'a':1}", "json"),
    "a raw newline in a string": (b'"a\nb"', "json"),
    "a form feed between tokens": (b"[1,\x0c2]", "json"),
    "a leading zero": (b"01", "json"),
    "a plus sign": (b"+1", "json"),
    "Arabic-Indic digits": ("[٣]".encode(), "json"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_acceptable_json_is_refused(name: str) -> None:
    body, keyword = REFUSED[name]
    with pytest.raises(Malformed) as caught:
        parse(body)
    assert caught.value.keyword == keyword


ACCEPTED = {
    "the deepest": (b"[" * DEPTH + b"]" * DEPTH),
    "brackets in a string": json.dumps("[{" * 200).encode(),
    "brackets behind an escaped quote": json.dumps('"[' * 200).encode(),
    "many shallow brackets": json.dumps([[]] * 100).encode(),
    "the longest number": b"1" * NUMBER,
    "a surrogate pair": b'"\\ud83d\\ude00"',
    "an escaped backslash before u": b'"\\\\ud800"',
    "the same name in two objects": b'[{"a":1},{"a":1}]',
    "NUL, escaped": b'"\\u0000"',
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_acceptable_json_is_read_as_it_is(name: str) -> None:
    assert parse(ACCEPTED[name]) == json.loads(ACCEPTED[name])


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_json)
def test_whatever_json_writes_is_read_back(value: object) -> None:
    assert parse(json.dumps(value).encode(), depth=100) == value


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        parse(body)


@pytest.mark.parametrize("unit", [b'\\"', b'"', b"[", b'"\\', b'{"', b'[""', b"\\"])
def test_no_text_of_the_largest_size_takes_long(unit: bytes) -> None:
    body = b'["' + unit * (64 * 1024 // len(unit))
    began = time.perf_counter()
    with pytest.raises(Malformed):
        parse(body)
    assert time.perf_counter() - began < 0.5


def test_the_reason_repeats_nothing_of_the_text() -> None:
    for body in (b'{"hunter2":NaN}', b'{"hunter2":1,"hunter2":2}', b'"hunter2'):
        with pytest.raises(Malformed) as caught:
            parse(body)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None
