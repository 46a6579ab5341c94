"""One module a noun of ``domain.ports``: statements built once, methods that carry them out."""
