#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API server as far as podwired knows one: lists (pages, versions), watches (bookmarks,
410 Gone), a token, and every way to misbehave that a test asks for.

usage: fake_api.py --port N --state FILE [--cert FILE --key FILE] [--address A]
The state outlives the process: killed and started again it is an API server that restarts.

Tests steer it over the same port:
  PUT    /control/nodes/NAME        {"podCIDRs": [...], "addresses": [...]} or a whole Node
  PUT    /control/pods/NS/NAME      whole Pod, or {"uid": ...}; with "nodeName", "runtimeClassName",
                                    "annotations"
  DELETE /control/nodes/NAME, /control/pods/NS/NAME
  POST   /control/many/N            nodes n0001 ... as large as real ones
  POST   /control/set               {"token": TEXT, "status": 500, "silent": true, "slow": BYTES/S,
                                     "bookmarks": SECONDS, "garbage": true, "watch_end": SECONDS}
  POST   /control/expire            forget old versions: watches from them get 410
  GET    /control/stats             what was asked how often
"""
import argparse
import json
import os
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

lock = threading.Condition()
state = {"version": 1000, "nodes": {}, "pods": {}}
log = []  # (version, kind, type, object)
oldest = [0]  # versions before it are gone
knobs = {"token": "", "status": 0, "silent": False, "slow": 0, "bookmarks": 30.0, "garbage": False,
         "watch_end": 0, "page": 0}
stats = {"lists": 0, "watches": 0, "refused": 0, "gone": 0, "open": 0, "tokens": [], "paths": []}
args = None


def save():
    if len(state["nodes"]) > 100:
        return  # takes seconds, and tests of many nodes need no restart
    tmp = args.state + ".new"
    with open(tmp, "w") as f:
        json.dump({"state": state, "knobs": knobs}, f)
    os.replace(tmp, args.state)


def change(kind, name, obj, typ):
    """With the lock held."""
    state["version"] += 1
    if obj is not None:
        obj["metadata"]["resourceVersion"] = str(state["version"])
    if typ == "DELETED":
        obj = state[kind].pop(name)
        obj = json.loads(json.dumps(obj))
        obj["metadata"]["resourceVersion"] = str(state["version"])
    else:
        state[kind][name] = obj
    log.append((state["version"], kind, typ, obj))
    save()
    lock.notify_all()


def node(name, spec, large=False):
    if "metadata" in spec:
        return spec
    n = int(time.time())
    obj = {
        "metadata": {"name": name, "uid": "uid-" + name,
                     "creationTimestamp": spec.get("created", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(n)))},
        "spec": {"podCIDRs": spec.get("podCIDRs", [])},
        "status": {"addresses": [{"type": "Hostname", "address": name}] +
                   [{"type": "InternalIP", "address": a} for a in spec.get("addresses", [])],
                   "conditions": [{"type": "Ready", "status": "True", "message": 'quoted " and \\ [}'}]},
    }
    if obj["spec"]["podCIDRs"]:
        obj["spec"]["podCIDR"] = obj["spec"]["podCIDRs"][0]
    if large:
        obj["metadata"]["managedFields"] = [{"fieldsV1": {"f:x%d" % i: {"f:y": {}} for i in range(100)}}]
        obj["status"]["images"] = [{"names": ["registry.example/image%d@sha256:%064d" % (i, i)] * 2,
                                    "sizeBytes": 12345} for i in range(50)]
    return obj


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def reply(self, code, obj, headers=()):
        body = json.dumps(obj).encode() if not isinstance(obj, bytes) else obj
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for k, v in headers:
            self.send_header(k, v)
        self.end_headers()
        if knobs["slow"] and not self.path.startswith("/control"):
            step = max(1, knobs["slow"] // 10)
            for i in range(0, len(body), step):
                self.wfile.write(body[i:i + step])
                self.wfile.flush()
                time.sleep(0.1)
        else:
            self.wfile.write(body)

    def status(self, code, message, reason=""):
        self.reply(code, {"kind": "Status", "code": code, "message": message, "reason": reason})

    def chunk(self, obj):
        data = obj if isinstance(obj, bytes) else json.dumps(obj).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    # ---- control ----

    def body(self):
        n = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(n) or b"{}")

    def control(self):
        parts = urlparse(self.path).path.split("/")[2:]
        with lock:
            if parts[0] == "stats":
                return self.reply(200, stats)
            if parts[0] == "set":
                knobs.update(self.body())
                save()
                lock.notify_all()
            elif parts[0] == "expire":
                state["version"] += 10
                log.clear()
                oldest[0] = state["version"]
                save()
                lock.notify_all()
            elif parts[0] == "many":
                for i in range(int(parts[1])):
                    name = "n%04d" % i
                    state["version"] += 1
                    obj = node(name, {"podCIDRs": ["10.%d.%d.0/24" % (128 + i // 256, i % 256),
                                                   "fd00:aaaa:0:%x::/64" % i],
                                      "addresses": ["192.0.2.%d" % (10 + i) if i < 200 else
                                                "198.18.%d.%d" % (i // 250, 1 + i % 250)]}, True)
                    obj["metadata"]["resourceVersion"] = str(state["version"])
                    state["nodes"][name] = obj
                oldest[0] = state["version"]
                log.clear()
                save()
            elif parts[0] in ("nodes", "pods"):
                kind, name = parts[0], "/".join(parts[1:])
                if self.command == "DELETE":
                    if name in state[kind]:
                        change(kind, name, None, "DELETED")
                else:
                    spec = self.body()
                    if kind == "nodes":
                        obj = node(name, spec)
                    else:
                        obj = spec if "metadata" in spec else {
                            "metadata": {"namespace": parts[1], "name": parts[2], "uid": spec.get("uid", ""),
                                         "annotations": spec.get("annotations", {})},
                            "spec": {k: spec[k] for k in ("nodeName", "runtimeClassName") if k in spec}}
                    change(kind, name, obj, "MODIFIED" if name in state[kind] else "ADDED")
            else:
                return self.status(404, "no such control")
        return self.reply(200, {})

    do_PUT = do_POST = do_DELETE = control

    # ---- the API ----

    def do_GET(self):
        if self.path.startswith("/control/"):
            return self.control()
        url = urlparse(self.path)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        auth = self.headers.get("Authorization") or ""
        stats["paths"] = (stats["paths"] + [self.path])[-20:]
        stats["tokens"] = (stats["tokens"] + [auth])[-20:]
        if knobs["status"]:
            return self.status(knobs["status"], "told to refuse")
        if knobs["token"] and auth != "Bearer " + knobs["token"]:
            stats["refused"] += 1
            return self.status(401, "Unauthorized")
        kind = {"/api/v1/nodes": "nodes", "/api/v1/pods": "pods"}.get(url.path)
        if url.path.startswith("/api/v1/namespaces/") and url.path.count("/") == 6:
            _, _, _, _, ns, what, name = url.path.split("/")
            with lock:
                obj = state["pods"].get(ns + "/" + name) if what == "pods" else None
            return self.reply(200, obj) if obj else self.status(404, "not found")
        if not kind:
            return self.status(404, "not found")
        if query.get("watch") in ("1", "true"):
            return self.watch(kind, query)
        return self.list(kind, query)

    @staticmethod
    def select(items, query):
        sel = query.get("fieldSelector", "")
        if sel.startswith("spec.nodeName="):
            items = [i for i in items if i.get("spec", {}).get("nodeName") == sel.split("=", 1)[1]]
        return items

    def list(self, kind, query):
        with lock:
            stats["lists"] += 1
            items = self.select(list(state[kind].values()), query)
            version = state["version"]
            cont = query.get("continue")
            limit = knobs["page"] or int(query.get("limit") or 0)
            start = 0
            if cont:
                if "expired" in cont:
                    return self.status(410, "continue has expired", "Expired")
                start = int(cont.split("=")[1])
            meta = {"resourceVersion": str(version)}
            # A server answers version 0 from its cache, whole.
            if limit and (query.get("resourceVersion") != "0" or knobs["page"]):
                if start + limit < len(items):
                    meta["continue"] = "at=%d" % (start + limit)
                items = items[start:start + limit]
            out = {"kind": kind.capitalize()[:-1] + "List", "apiVersion": "v1", "metadata": meta, "items": items}
        if knobs["garbage"]:
            return self.reply(200, b'{"kind":"NodeList","items":[{"metadata":{"name":"x"}},]}}')
        return self.reply(200, out)

    def watch(self, kind, query):
        since = int(query.get("resourceVersion") or 0)
        end = time.time() + min(int(query.get("timeoutSeconds") or 60), 3600)
        if knobs["watch_end"]:
            end = min(end, time.time() + knobs["watch_end"])
        with lock:
            stats["watches"] += 1
            if since < oldest[0]:
                stats["gone"] += 1
                if query.get("allowWatchBookmarks"):
                    return self.status(410, "too old resource version", "Expired")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        stats["open"] += 1
        try:
            self.stream(kind, since, end, query)
        finally:
            stats["open"] -= 1

    def stream(self, kind, since, end, query):
        mark = time.time() + knobs["bookmarks"]
        mute = False
        while time.time() < end:
            with lock:
                news = [e for e in log if e[0] > since and e[1] == kind]
                gone = since < oldest[0]
                if not news and not gone and not knobs["garbage"]:
                    lock.wait(min(1.0, max(0.01, mark - time.time()), max(0.01, end - time.time())))
                    news = [e for e in log if e[0] > since and e[1] == kind]
                    gone = since < oldest[0]
                version = state["version"]
                # What was open when it went silent stays so: half-open.
                mute = mute or knobs["silent"]
            if mute:
                time.sleep(0.2)
                continue
            if gone:
                self.chunk({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
                break
            if knobs["garbage"]:
                self.chunk(b'{"type":"ADDED","object":{"metadata":{"name":7,"x":[}}}\n')
                break
            for v, _, typ, obj in news:
                if self.select([obj], query):
                    self.chunk({"type": typ, "object": obj})
                since = v
            if time.time() >= mark:
                self.chunk({"type": "BOOKMARK", "object": {"kind": "Node", "metadata": {"resourceVersion": str(version)}}})
                since = max(since, version)
                mark = time.time() + knobs["bookmarks"]
        if not mute:
            self.chunk(b"")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    address_family = socket.AF_INET

    def handle_error(self, request, client_address):
        pass  # clients are killed in these tests


def main():
    global args
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--address", default="127.0.0.1")
    p.add_argument("--state", required=True)
    p.add_argument("--cert")
    p.add_argument("--key")
    args = p.parse_args()
    if os.path.exists(args.state):
        with open(args.state) as f:
            saved = json.load(f)
        state.update(saved["state"])
        knobs.update(saved["knobs"])
    # A server that starts knows nothing of before: older versions are gone, the newest is not.
    oldest[0] = state["version"]
    server = Server((args.address, args.port), Handler)
    if args.cert:
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(args.cert, args.key)
        server.socket = ctx.wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
