"""What an instance of EC2 finds around it, for a small machine with a network of its own.

Usage: instance_world.py PID FOLDER STORE

PID is the machine's first process. It is given, on addresses that it has itself:
  169.254.169.254:80   the metadata service, version 2 alone, with keys of a session for its role
  169.254.169.123:123  the time, off by as many seconds as FOLDER/clock-offset says
  10.80.0.10:443       HTTPS with FOLDER/public.crt: S3's names are STORE's (host:port, a MinIO),
                       any other host hands out FOLDER/files by the last part of the path
The session has the rights of FOLDER/policy.json and no others. Prints "ready" when all listen.
"""

import ctypes
import datetime
import http.server
import json
import os
import pathlib
import shutil
import socket
import ssl
import struct
import sys
import threading
import time

import boto3

CLONE_NEWNET = 0x40000000
NTP_EPOCH = 2208988800
ROLE = "sink"
TOKEN = "session-of-the-instance"


def within(namespace, make):
    """What `make` opens lives in that network, and is used from here."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(namespace, os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    try:
        return make()
    finally:
        assert libc.setns(here, CLONE_NEWNET) == 0
        os.close(here)
        os.close(there)


def session_keys():
    store = boto3.client(
        "sts", endpoint_url=f"http://{STORE}", region_name="us-east-1",
        aws_access_key_id=os.environ["STORE_KEY"], aws_secret_access_key=os.environ["STORE_SECRET"],
    )  # fmt: skip
    policy = (FOLDER / "policy.json").read_text()
    role = "arn:aws:iam::000000000000:role/sink"
    keys = store.assume_role(RoleArn=role, RoleSessionName="instance", Policy=policy)["Credentials"]
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "AccessKeyId": keys["AccessKeyId"],
        "SecretAccessKey": keys["SecretAccessKey"],
        "Token": keys["SessionToken"],
        "Expiration": keys["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


class Metadata(http.server.BaseHTTPRequestHandler):
    """Without a token, which only PUT gives, nothing is told."""

    def answer(self, status, text):
        self.send_response(status)
        if text == TOKEN:
            self.send_header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        asked = self.headers.get("x-aws-ec2-metadata-token-ttl-seconds")
        right = self.path == "/latest/api/token" and asked
        self.answer(200, TOKEN) if right else self.answer(400, "")

    def do_GET(self):
        roles = "/latest/meta-data/iam/security-credentials"
        if self.headers.get("x-aws-ec2-metadata-token") != TOKEN:
            self.answer(401, "")
        elif self.path.rstrip("/") in (roles, f"{roles}-extended"):
            self.answer(200, ROLE)
        elif self.path == f"{roles}/{ROLE}":
            self.answer(200, json.dumps(session_keys()))
        else:
            self.answer(404, "")


class Files(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        path = FOLDER / "files" / self.path.rsplit("/", 1)[-1]
        if not path.is_file():
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        with path.open("rb") as file:
            shutil.copyfileobj(file, self.wfile)


def pump(source, sink):
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(connection, context):
    """One connection: the name that is asked for says whose it is."""
    names = []
    try:
        tls = context(names.append).wrap_socket(connection, server_side=True)
    except (OSError, ssl.SSLError):
        return
    if names and names[0] and names[0].endswith(".amazonaws.com"):
        host, port = STORE.split(":")
        store = socket.create_connection((host, int(port)))
        threading.Thread(target=pump, args=(store, tls), daemon=True).start()
        pump(tls, store)
    else:
        Files(tls, ("", 0), None)
        tls.close()


def secure(listener):
    def context(heard):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(FOLDER / "public.crt", FOLDER / "private.key")
        made.sni_callback = lambda _socket, name, _context: heard(name)
        return made

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, context), daemon=True).start()


def clock(listener):
    """SNTP: version 4, stratum 1."""
    while True:
        asked, who = listener.recvfrom(512)
        now = time.time() + float((FOLDER / "clock-offset").read_text()) + NTP_EPOCH
        stamp = struct.pack("!II", int(now), int(now % 1 * 2**32))
        head = struct.pack("!BBbb", 0x24, 1, 0, -20) + bytes(8) + b"TEST"
        listener.sendto(head + stamp + asked[40:48] + stamp + stamp, who)


def listen():
    time_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    time_socket.bind(("169.254.169.123", 123))
    https = socket.create_server(("10.80.0.10", 443))
    metadata = http.server.ThreadingHTTPServer(("169.254.169.254", 80), Metadata)
    return time_socket, https, metadata


FOLDER, STORE = pathlib.Path(sys.argv[2]), sys.argv[3]
time_socket, https, metadata = within(f"/proc/{sys.argv[1]}/ns/net", listen)
threading.Thread(target=clock, args=(time_socket,), daemon=True).start()
threading.Thread(target=secure, args=(https,), daemon=True).start()
print("ready", flush=True)
metadata.serve_forever()
