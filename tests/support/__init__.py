"""What several suites share: an authenticator, a client that keeps the books, servers, accounts."""
