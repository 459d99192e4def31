"""Starts the server beside these tests on a free port, and asks it things."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

APP = Path(__file__).resolve().parent.parent


class Served:
    """A running server with a folder of its own for scores; `with` ends it."""

    def __init__(self, **environment):
        self.folder = tempfile.TemporaryDirectory()
        self.scores = Path(self.folder.name) / "scores.json"
        self.environment = {"HOST": "127.0.0.1", "PORT": "0", "SCORES_FILE": str(self.scores), **environment}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()

    def start(self):
        command = [sys.executable, "-B", str(APP / "server.py")]
        self.process = subprocess.Popen(
            command, env={**os.environ, **self.environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)$", line.strip())
        if not found:
            self.process.kill()
            raise AssertionError(f"it did not start: {line!r} {self.process.communicate()[1]}")
        self.port = int(found[1])

    def stop(self):
        """Asks it to end, and gives its exit code and what it wrote to its error stream."""
        self.process.send_signal(signal.SIGTERM)
        try:
            complaints = self.process.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode, complaints

    def raw(self, method, path, body=None, **headers):
        """Status, headers and bytes of one answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path):
        status, _, body = self.raw("GET", path)
        return status, json.loads(body)

    def post(self, body):
        """Sends a score: an object, or bytes as they are."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, answer = self.raw("POST", "/api/scores", body, Content_Type="application/json")
        return status, json.loads(answer)
