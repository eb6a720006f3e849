"""Rewrites vmdata.json as CloudStack's router does: read, change one guest, dump in place.

usage: databag.py FILE; then one line "ADDRESS<tab>KEY<tab>VALUE" for each change on standard
input. Answers one line of JSON: wall clock in ms before the file was opened and after it was closed.
"""

import json
import os
import sys
import time

# The probes share a processor with this program, and are what is measured.
os.nice(19)
path = sys.argv[1]
with open(path) as file:
    bag = json.load(file)
print("{}", flush=True)

for line in sys.stdin:
    address, key, value = line.rstrip("\n").split("\t")
    for item in bag[address]:
        if item[0] == "metadata" and item[1] == key:
            item[2] = value
    begun = time.time_ns()
    with open(path, "w") as file:
        json.dump(bag, file, sort_keys=True, indent=2)
    ended = time.time_ns()
    print(json.dumps({"begunMs": begun / 1e6, "endedMs": ended / 1e6}), flush=True)
