#!/usr/bin/env python3
"""Reads a topic's table as Athena would: one Hive-partitioned table of JSON lines, by DuckDB.

    read_back.py s3://BUCKET/PREFIX/TOPIC     the store is AWS_ENDPOINT_URL, with the credentials
                                              of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    read_back.py FOLDER                       a downloaded or embedded one

Prints one line of JSON: rows, distinct ids (Kafka partition and sequence number), rows by Kafka
partition and by Hive partition, and the types of the Hive keys.
"""

import json
import os
import pathlib
import sys
from urllib.parse import urlparse

import duckdb


def connect(root: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    if not root.startswith("s3://"):
        return connection
    # The extension is a Python package: DuckDB's own download would need another server.
    import duckdb_extension_httpfs

    folder = pathlib.Path(duckdb_extension_httpfs.__file__).parent
    extension = next(folder.rglob("httpfs.duckdb_extension"))
    connection.load_extension(str(extension))
    endpoint = urlparse(os.environ["AWS_ENDPOINT_URL"])
    settings = {
        "KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "SECRET": os.environ["AWS_SECRET_ACCESS_KEY"],
        "ENDPOINT": endpoint.netloc,
        "URL_STYLE": "path",
        "USE_SSL": str(endpoint.scheme == "https").lower(),
        "REGION": "us-east-1",
    }
    fields = ", ".join(f"{name} '{value}'" for name, value in settings.items())
    connection.execute(f"CREATE SECRET (TYPE s3, {fields})")
    return connection


def read_back(root: str) -> dict:
    connection = connect(root)
    connection.execute(
        f"""CREATE VIEW lines AS SELECT * FROM read_json('{root.rstrip("/")}/**/*.json*',
            format = 'newline_delimited', hive_partitioning = true, hive_types_autocast = false)"""
    )
    types = {name: kind for name, kind, *_ in connection.execute("DESCRIBE lines").fetchall()}
    keys = [name for name in ("dt", "hour") if name in types]
    path = " || '/' || ".join(f"'{key}=' || {key}" for key in keys) or "''"
    # One pass over the objects for everything.
    rows = connection.execute(
        f"""SELECT "partition", {path} AS path, count(*), count(DISTINCT sequence)
            FROM lines GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    # A sequence number has one timestamp, so it cannot stand in two Hive partitions.
    by_kafka: dict[str, int] = {}
    by_hive: dict[str, int] = {}
    for partition, hive_path, count, _ in rows:
        by_kafka[str(partition)] = by_kafka.get(str(partition), 0) + count
        by_hive[hive_path] = by_hive.get(hive_path, 0) + count
    return {
        "rows": sum(row[2] for row in rows),
        "distinct": sum(row[3] for row in rows),
        "by_kafka_partition": by_kafka,
        "by_hive_partition": by_hive,
        "hive_key_types": {key: types[key] for key in keys},
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(json.dumps(read_back(sys.argv[1])))
