"""AWS's own command for the guides, with what the stand-ins lack.

Usage: guide_aws.py ARGUMENT...   (REAL_AWS is the command itself)

A crawler of theirs finds nothing: one that was started makes the table that it would make, of the
columns that `kafka-s3-sink ddl` finds. The first crawler of a new role is refused, as AWS does for
some seconds. A session has no terminal here, and no console says what the first boot did.
"""

import json
import os
import pathlib
import subprocess
import sys

ARGUMENTS = sys.argv[1:]
ASKED = ARGUMENTS[:2]


def aws(*arguments):
    return subprocess.run([os.environ["REAL_AWS"], *arguments])


def make_table():
    command = ["kafka-s3-sink", "ddl", "--config", "sink.toml", "--topic", "orders", "--format", "glue"]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    table, _ = json.JSONDecoder().raw_decode(text)
    table["Parameters"] = {"classification": "json", "compressionType": "gzip"}
    aws("glue", "create-table", "--database-name", "kafka", "--table-input", json.dumps(table)).check_returncode()


def attachment(volume):
    command = [os.environ["REAL_AWS"], "ec2", "describe-volumes", "--output", "json", "--volume-ids", volume]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(text)["Volumes"][0]["Attachments"][0]


if ASKED == ["ec2", "detach-volume"]:
    # AWS knows them by itself, moto does not.
    found = attachment(ARGUMENTS[ARGUMENTS.index("--volume-id") + 1])
    ARGUMENTS += ["--instance-id", found["InstanceId"], "--device", found["Device"]]
if ASKED == ["glue", "create-crawler"]:
    seen = pathlib.Path("crawler-was-asked-for")
    if not seen.exists():
        seen.touch()
        sys.exit("InvalidInputException: Service is unable to assume role")
if ASKED == ["ssm", "start-session"]:
    print("a session on", ARGUMENTS[3])
    sys.exit(0 if ARGUMENTS[3].startswith("i-") else 1)
done = aws(*ARGUMENTS)
if done.returncode == 0 and ASKED == ["glue", "start-crawler"]:
    make_table()
if done.returncode == 0 and ASKED == ["ec2", "get-console-output"]:
    print("user-data: done")
sys.exit(done.returncode)
