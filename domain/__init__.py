"""The rules and mechanisms of multi-factor authentication: no framework, no SQL, no clock."""
