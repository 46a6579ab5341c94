"""Composition: settings, keys, policies, the application, the command line, the HTTP server."""
