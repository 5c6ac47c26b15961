#!/usr/bin/env python3
"""Prints each notification once, if it is signed as it should be: SECRET=whsec_... receiver.py [PORT]"""
import base64, hashlib, hmac, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["SECRET"].removeprefix("whsec_"))
SEEN = set()  # keep ids for longer than the sender tries: a day, unless `giveUpAfterSeconds` says otherwise


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        self.send_response(self.judge(self.rfile.read(length)) if length <= 65536 else 413)
        self.end_headers()

    def judge(self, body):
        name, sent = self.headers.get("webhook-id", ""), self.headers.get("webhook-timestamp", "")
        digest = hmac.digest(KEY, f"{name}.{sent}.".encode() + body, hashlib.sha256)
        expected = b"v1," + base64.b64encode(digest)
        given = self.headers.get("webhook-signature", "").encode().split()
        if not any(hmac.compare_digest(expected, signature) for signature in given):
            return 401
        if abs(time.time() - int(sent)) > 300:
            return 400  # somebody plays an old one again
        if name not in SEEN:  # a second try of what has arrived is answered as the first
            SEEN.add(name)
            print(body.decode(), flush=True)
        return 204


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8090), Receiver)
print("listening on port", server.server_port, file=sys.stderr, flush=True)
server.serve_forever()
