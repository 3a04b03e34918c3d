"""The only SQL of the platform: tables, named queries, migrations, group commit; SQLite and PostgreSQL.

Must never decide anything: rules live in ``service``, which hands its two pure halves to the committer here.
"""
