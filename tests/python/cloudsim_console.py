"""Types into the console of an app, frame by frame, as the official command-line client does.

Arguments: address of the cloud, id of an app that runs. The token is in TOKEN. Prints "all held" at the end.
"""

import json
import os
import sys
import urllib.error
import urllib.request

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

CLOUD, APP, VIRTUAL = sys.argv[1], sys.argv[2], sys.argv[3] == "virtual"


def told(path):
    """The console's address."""
    request = urllib.request.Request(CLOUD + path, headers={"Authorization": "Bearer " + os.environ["TOKEN"]})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["url"]


def status(path):
    try:
        told(path)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def typed(socket, text):
    socket.send(json.dumps({"op": "stdin", "data": text}))


def until(socket, wanted):
    """What is shown until `wanted` is."""
    shown = ""
    while wanted not in shown:
        message = socket.recv(timeout=20)
        assert isinstance(message, str), "frames are text"
        shown += json.loads(message)["data"]
    return shown


BELOW_APP = f"/v2/apps/{APP}/components/sandbox/exec"

# Who may, and where.
assert status(f"/v2/apps/{APP}/components/another/exec") == 404
assert status("/v2/apps/unknown/components/sandbox/exec") == 404
assert status(f"/v2/apps/{APP}/deployments/unknown/components/sandbox/exec") == 404

# An address opens once.
address = told(BELOW_APP)
assert address.startswith("ws://") and "token=" in address, address
with connect(address) as socket:
    socket.send(json.dumps({"op": "resize", "width": 123, "height": 45}))
    typed(socket, "echo 'hello'-there\r")
    shown = until(socket, "hello-there")
    assert "echo 'hello'-there" in shown, "a terminal echoes: " + shown
    if not VIRTUAL:
        typed(socket, "stty size; pwd; echo $GREETING; tty\r")
        shown = until(socket, "/dev/pts/")
        assert "45 123" in shown, shown
        # What is no UTF-8 does not survive a terminal in JSON.
        typed(socket, "stty -echo\r")
        typed(socket, "printf 'a\\377b'; echo ' is-to'rn\r")
        shown = until(socket, " is-torn")
        assert "a\ufffdb is-torn" in shown, shown
        # Control keys are the terminal's.
        typed(socket, "PS1='now''>'\r")
        until(socket, "now>")
        # Pressed before the program has the terminal, Ctrl-C would be the shell's.
        typed(socket, "sh -c 'echo go''ing; exec sleep 1000'; echo after\r")
        until(socket, "going")
        typed(socket, "\x03")
        until(socket, "now>")
    typed(socket, "")
    typed(socket, "exit\r")
    try:
        while True:
            socket.recv(timeout=20)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None and closed.rcvd.code == 1000, closed
try:
    connect(address)
    raise AssertionError("the address opened twice")
except InvalidStatus as refused:
    assert refused.response.status_code == 401

# Many lines come whole and in order.
if not VIRTUAL:
    with connect(told(BELOW_APP)) as socket:
        typed(socket, "stty -echo -onlcr; PS1=\r")
        typed(socket, "seq 1 20000; echo th'e end'\r")
        shown = until(socket, "the end")
        assert "\n".join(map(str, range(1, 20001))) in shown

print("all held")
