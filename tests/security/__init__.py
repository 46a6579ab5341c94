"""The executable security catalogue: one test a row, one module a subsection."""
