"""The PostgreSQL that other tests build on is a real one."""

import psycopg


def test_server_is_durable_and_speaks_utf8(postgresql_dsn: str) -> None:
    """A fresh database is empty, keeps Chinese text, and every commit reaches the disk."""
    with psycopg.connect(postgresql_dsn) as connection:
        connection.execute("CREATE TABLE word (text text)")
        connection.execute("INSERT INTO word VALUES ('通宝')")
        assert connection.execute("SELECT text FROM word").fetchone() == ("通宝",)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_every_test_gets_a_database_of_its_own(postgresql_dsn: str) -> None:
    """What another test created is not there."""
    with psycopg.connect(postgresql_dsn) as connection:
        assert connection.execute("SELECT to_regclass('word')").fetchone() == (None,)
