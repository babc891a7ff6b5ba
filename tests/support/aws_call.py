"""Calls of AWS's own client for the tests, one line of JSON each way.

Usage: aws_call.py ENDPOINT
In:  {"service": "s3", "method": "put_object", "params": {...}, "keys": [id, secret, token]}
Out: {"ok": ...} or {"error": code, "message": text}
"""

import json
import sys

import boto3
import botocore.exceptions
from botocore.config import Config

CONFIG = Config(
    retries={"max_attempts": 1}, s3={"addressing_style": "path"}, connect_timeout=10, read_timeout=60
)
clients = {}


def client(service, keys):
    at = (service, *keys)
    if at not in clients:
        key, secret, token = keys
        clients[at] = boto3.client(
            service,
            endpoint_url=sys.argv[1],
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=CONFIG,
        )
    return clients[at]


def answer(call):
    try:
        method = getattr(client(call["service"], call["keys"]), call["method"])
        reply = method(**call["params"])
        reply.pop("ResponseMetadata", None)
        return {"ok": reply}
    except botocore.exceptions.ClientError as error:
        return {"error": error.response["Error"]["Code"], "message": error.response["Error"].get("Message", "")}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line)), default=str), flush=True)
