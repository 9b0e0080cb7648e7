#!/usr/bin/env python3
"""Runs ClickHouse as a private server for development and tests, in the foreground.

The engine is libchdb, ClickHouse packed as a shared library. What it exports is the program
`clickhouse local`, and that program can open the server's own HTTP listener by a statement.
So this file only has to start it, keep one statement running, and get out of the way: it is
ended by a signal. It listens on 127.0.0.1 without a password, so it is no server for production.

    clickhouse_server.py --library libchdb.so --directory DIR --port PORT
"""

import argparse
import ctypes
import os
import pathlib
import sys

# `clickhouse local` ends when its queries do. The last one never does: a row every second, each
# of them thrown away. The limits lifted here would end it after some seconds or hours.
QUERIES = """
SYSTEM START LISTEN HTTP;
SELECT sleepEachRow(1) FROM system.numbers
SETTINGS max_block_size = 1, max_execution_time = 0, function_sleep_max_microseconds_per_block = 0
FORMAT Null
"""


def arguments():
    parser = argparse.ArgumentParser(description="A private ClickHouse on 127.0.0.1.")
    parser.add_argument("--library", required=True, type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--directory", required=True, type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--port", required=True, type=int)
    return parser.parse_args()


def settle(options):
    """Stands in its directory, alone in a process group.

    The group matters: some of the engine's statements signal the whole group, which must not
    be that of the shell that started us. The directory matters too: the engine reads a
    `config.xml` from wherever it stands.
    """
    options.directory.mkdir(parents=True, exist_ok=True)
    os.chdir(options.directory)
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)


def command_line(options):
    return [
        "clickhouse-local",
        f"--path={options.directory / 'data'}",
        "--listen_host=127.0.0.1",
        f"--http_port={options.port}",
        f"--query={QUERIES}",
    ]


def run(library, argv):
    """Runs the engine until it ends; returns what it complained about, or an empty string."""
    engine = ctypes.CDLL(str(library))
    engine.chdb_query_cmdline.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    engine.chdb_query_cmdline.restype = ctypes.c_void_p
    engine.chdb_result_error.argtypes = [ctypes.c_void_p]
    engine.chdb_result_error.restype = ctypes.c_char_p
    words = [word.encode() for word in argv]
    result = engine.chdb_query_cmdline(len(words), (ctypes.c_char_p * len(words))(*words))
    if not result:
        return "the engine returned nothing"
    return (engine.chdb_result_error(result) or b"").decode(errors="replace")


def main():
    options = arguments()
    settle(options)
    complaint = run(options.library, command_line(options))
    return f"clickhouse: {complaint}" if complaint else 0


if __name__ == "__main__":
    sys.exit(main())
