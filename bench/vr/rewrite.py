"""Brings a change to a web server's files by writing the files of every guest again.

This is what CloudStack's router does for each change, written from its description: for every
guest and key the file is truncated, locked, written and made readable, the directory's access
rules are written again, the manifest and the rewrite rules are read and completed if need be.
It leaves out what the router does beside that (logging, merging, DHCP), so it is the faster one.

usage: rewrite.py VMDATA ROOT; then one line "ADDRESS<tab>KEY<tab>VALUE" for each change on standard
input. Answers one line of JSON: wall clock in ms before the first file and after the last one.
"""

import base64
import fcntl
import json
import os
import sys
import time

# The probes share a processor with this program, and are what is measured.
os.nice(19)
root = sys.argv[2]
rules = os.path.join(root, "latest", ".htaccess")
with open(sys.argv[1]) as file:
    bag = json.load(file)
del bag["id"]


def append_missing(path, text, line):
    """Appends the line unless the text is somewhere in the file."""
    with open(path, "a+") as file:
        file.seek(0)
        if text not in file.read():
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(line)


def write(path, content):
    with open(path, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(content)
    os.chmod(path, 0o644)


def learn_rules(folder, name):
    """The short form of this name, and the general forms, if no rule has them yet."""
    target = f"../{folder}/%{{REMOTE_ADDR}}"
    learnt = [(f"^{name}$", name)]
    if folder == "metadata":
        learnt += [("^meta-data/(.+)$", "$1"), ("^meta-data/$", "meta-data")]
    for pattern, leaf in learnt:
        start = f"RewriteRule {pattern} "
        append_missing(rules, start, f"{start}{target}/{leaf} [NC,QSA,L]\n")


def write_item(address, folder, name, content):
    directory = os.path.join(root, folder, address)
    path = os.path.join(directory, name)
    if content == "":
        if os.path.exists(path):
            os.remove(path)
        return
    os.makedirs(directory, exist_ok=True)
    if folder == "userdata":
        content = base64.b64decode(content or "")
    else:
        content = (content or "").encode()
        append_missing(os.path.join(directory, "meta-data"), name, name + "\n")
    write(path, content)
    learn_rules(folder, name)
    access = f"Options -Indexes\nOrder Deny,Allow\nDeny from all\nAllow from {address}\n"
    write(os.path.join(directory, ".htaccess"), access.encode())


def write_everything():
    for address, items in bag.items():
        for folder, name, content in items:
            write_item(address, folder, name, content)


write_everything()
print("{}", flush=True)

for line in sys.stdin:
    address, key, value = line.rstrip("\n").split("\t")
    for item in bag[address]:
        if item[0] == "metadata" and item[1] == key:
            item[2] = value
    begun = time.time_ns()
    write_everything()
    ended = time.time_ns()
    print(json.dumps({"begunMs": begun / 1e6, "endedMs": ended / 1e6}), flush=True)
