"""The MariaDB that the order book is tested on is a real one."""

import pymysql
import pytest

from tests.support.mariadb import MariaDB


def test_server_commits_and_rolls_back(mariadb: MariaDB) -> None:
    """A fresh database has transactions and keeps Chinese text."""
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE word (text varchar(20)) ENGINE=InnoDB")
        cursor.execute("INSERT INTO word VALUES ('通宝')")
        connection.commit()
        cursor.execute("INSERT INTO word VALUES ('gone')")
        connection.rollback()
        cursor.execute("SELECT text FROM word")
        assert cursor.fetchall() == (("通宝",),)


def test_user_is_an_ordinary_one(mariadb: MariaDB) -> None:
    """The tests' user cannot read the server's own tables, over TCP or over the socket."""
    with (
        pymysql.connect(
            unix_socket=mariadb.socket, user=mariadb.user, password=mariadb.password, database=mariadb.database
        ) as connection,
        connection.cursor() as cursor,
        pytest.raises(pymysql.err.OperationalError),
    ):
        cursor.execute("SELECT * FROM mysql.global_priv")
