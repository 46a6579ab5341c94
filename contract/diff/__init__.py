"""What a change of a spec means to whoever was written against the spec before."""

from contract.diff.changes import Change, Weight
from contract.diff.compare import compare
from contract.diff.document import Document
from contract.diff.versions import misfit

__all__ = ["Change", "Document", "Weight", "compare", "misfit"]
