#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""In the guest: one request a connection. put N: takes N bytes, answers their SHA-256. get N: sends
N bytes and then their SHA-256. run CMD: answers what it prints. reboot."""
import hashlib
import os
import socket
import subprocess
import threading


def serve(c):
    f = c.makefile("rwb", buffering=1 << 16)
    word, _, arg = f.readline().decode().strip().partition(" ")
    h = hashlib.sha256()
    if word == "put":
        left = int(arg)
        while left:
            b = f.read(min(left, 1 << 16))
            if not b:
                return
            h.update(b)
            left -= len(b)
        f.write((h.hexdigest() + "\n").encode())
    elif word == "get":
        left = int(arg)
        block = os.urandom(1 << 16)
        while left:
            b = block[:left]
            h.update(b)
            f.write(b)
            left -= len(b)
            block = block[1:] + block[:1]
        f.write((h.hexdigest() + "\n").encode())
    elif word == "run":
        f.write(subprocess.run(arg, shell=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT).stdout)
    elif word == "reboot":
        f.write(b"yes\n")
        f.flush()
        c.close()
        open("/proc/sysrq-trigger", "w").write("b")
    f.flush()
    c.close()


s = socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
