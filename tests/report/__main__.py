"""``python -m tests.report``: hold what the runs have seen against the spec, in every form.

The exit status is 1 if something declared was not seen, or something else was.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.report import forms, page
from tests.report.recorder import ROOT, SEEN, gathered, shipped
from tests.report.verdict import report

BUILD = ROOT / "build"


def main(seen: Path = SEEN, build: Path = BUILD) -> int:
    found = report(shipped(), gathered(seen))
    made = datetime.now(UTC)
    build.mkdir(parents=True, exist_ok=True)
    written = {
        "txt": forms.text(found),
        "json": forms.document(found),
        "xml": forms.junit(found),
        "html": page.html(found, made),
    }
    for kind, content in written.items():
        (build / f"contract.{kind}").write_text(content, encoding="utf-8")
    print(written["txt"], end="")
    return 0 if found.complete else 1


if __name__ == "__main__":
    sys.exit(main())
