"""Writes a database of made-up weather stations, the same every time."""

import sqlite3
import sys

STATIONS, READINGS = 200, 50

with sqlite3.connect(sys.argv[1]) as database:
    database.execute("CREATE TABLE stations (id INTEGER PRIMARY KEY, name TEXT, height_m INTEGER)")
    database.execute("CREATE TABLE readings (id INTEGER PRIMARY KEY, station INTEGER, celsius REAL)")
    database.executemany(
        "INSERT INTO stations VALUES (?, ?, ?)", [(n, f"station {n}", n * 37 % 2500) for n in range(1, STATIONS + 1)]
    )
    database.executemany(
        "INSERT INTO readings (station, celsius) VALUES (?, ?)",
        [(n, (n * 31 + k * 17) % 400 / 10 - 10) for n in range(1, STATIONS + 1) for k in range(READINGS)],
    )
    database.execute("CREATE INDEX by_station ON readings (station)")
