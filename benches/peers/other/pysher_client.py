"""Pysher. It parses frames, and gives the data of an event as text."""

import sys
import threading
import time

import pysher

port, kind, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
client = pysher.Pusher("key", custom_host="127.0.0.1", secure=False, port=port)
late = []
seen = total = 0


def flood(data):
    global seen, total
    seen += 1
    total += len(data)
    if seen % count == 0:
        print(seen, total, flush=True)


def paced(data):
    late.append(max(0, time.time_ns() - int(data[data.rindex(":") + 1:-1])))
    if len(late) == count:
        print(*late, flush=True)


def subscribe(_):
    client.subscribe("bench").bind("message", paced if kind == "paced" else flood)


client.connection.bind("pusher:connection_established", subscribe)
client.connect()
threading.Event().wait()
