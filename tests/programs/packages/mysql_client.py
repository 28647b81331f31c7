"""PyMySQL and a server. Arguments: its port, and a port at which nothing listens."""

import sys

import pymysql

options = {"host": "127.0.0.1", "user": "user", "password": "password", "connect_timeout": 60}
with pymysql.connect(port=int(sys.argv[1]), **options) as connection, connection.cursor() as cursor:
    print(cursor.execute("SELECT text FROM somewhere"), cursor.fetchone(), cursor.fetchall()[-1])
    try:
        cursor.execute("WRONG")
    except pymysql.ProgrammingError as error:
        print(*error.args)
    cursor.execute("INSERT INTO somewhere VALUES (%s)", ["it's"])
    connection.commit()
try:
    pymysql.connect(port=int(sys.argv[2]), **options)
except pymysql.OperationalError as error:
    print(error.args[0], type(error.original_exception).__name__)
