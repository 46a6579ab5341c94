"""The database room: tables, repositories, transactions, engines and migrations.

The only package that imports SQLAlchemy; what the rules see of it is ``domain.ports``.
"""
