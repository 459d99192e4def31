"""Serves a game: its page, its health, and its best scores. Standard library only; `rules.py` says what a score is."""

import json
import os
import signal
import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import rules
from bad_score import BadScore
from keep import Keep

HERE = Path(__file__).resolve().parent
TYPES = {".html": "text/html", ".css": "text/css", ".mjs": "text/javascript", ".svg": "image/svg+xml"}
# Read once: only what is in here can be asked for, whatever a path says.
FILES = [file for file in (HERE / "page").iterdir() if file.suffix in TYPES]
PAGE = {f"/{file.name}": (TYPES[file.suffix], file.read_bytes()) for file in FILES}
PAGE["/"] = PAGE["/index.html"]
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
LARGEST_BODY = 1024


class Refused(Exception):
    """A request that is answered with an error: `status`, and what a person can do about it."""

    def __init__(self, status, detail, **headers):
        super().__init__(detail)
        self.status, self.headers = status, headers


class Handler(BaseHTTPRequestHandler):
    """One connection. Paths: the page's files, /health, /api/scores (GET the best ones, POST one)."""

    protocol_version = "HTTP/1.1"
    timeout = 15  # seconds of silence after which a connection is closed
    keep = None

    def answer(self, status, content, kind="application/json", **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": f"{kind}; charset=utf-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def route(self):
        path = self.path.split("?", 1)[0]
        if self.command != "POST" and ("Content-Length" in self.headers or "Transfer-Encoding" in self.headers):
            self.close_connection = True  # nobody reads that body: it must not become the next request
        try:
            if path != "/api/scores" and path != "/health" and path not in PAGE:
                raise Refused(404, f"path: {path[:80]!r} is not here; use /, /health or /api/scores")
            allowed = ("GET", "HEAD", "POST") if path == "/api/scores" else ("GET", "HEAD")
            if self.command not in allowed:
                detail = f"method: {path} takes no {self.command}; use {' or '.join(allowed)}"
                raise Refused(405, detail, Allow=", ".join(allowed))
            if path in PAGE:
                kind, content = PAGE[path]
                self.answer(200, content, kind)
            elif path == "/health":
                self.answer(200, {"status": "healthy", "app": rules.NAME})
            elif self.command == "POST":
                self.answer(200, self.keep.add(*rules.check(self.body())))
            else:
                self.answer(200, self.keep.best())
        except Refused as error:
            # What is left of the body must not be read as the next request.
            self.answer(error.status, {"detail": str(error)}, Connection="close", **error.headers)
        except BadScore as error:
            self.answer(422, {"detail": str(error), "field": error.field, "value": error.value})

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = route

    def body(self):
        """The request's JSON."""
        kind, length = self.headers.get_content_type(), self.headers.get("Content-Length", "")
        # Also what keeps other sites' forms out: a browser asks before it sends this type elsewhere.
        if kind != "application/json":
            raise Refused(415, f"Content-Type: {kind!r} is not taken; send application/json")
        if "Transfer-Encoding" in self.headers or not length:
            raise Refused(411, "Content-Length: is missing; send the body's length in bytes")
        if not (length.isascii() and length.isdigit()):
            raise Refused(400, f"Content-Length: {length[:80]!r} is no number; send the body's length in bytes")
        if len(length) > 9 or int(length) > LARGEST_BODY:
            raise Refused(413, f"Content-Length: {length[:20]} bytes are too many; send at most {LARGEST_BODY}")
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise Refused(400, "body: is not JSON; send an object such as " + rules.SAMPLE) from None

    def send_error(self, code, message=None, explain=None):
        detail = f"request: {message or 'is not HTTP'}; see the README for what is served"
        self.answer(code, {"detail": detail}, Connection="close")

    def log_request(self, code="-", size="-"):
        if getattr(self, "path", "") != "/health":  # asked every few seconds
            print(f"{self.command} {getattr(self, 'path', '')!r} {int(code)}", flush=True)

    def log_message(self, format, *args):
        print(repr(format % args), file=sys.stderr, flush=True)


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    request_queue_size = 64

    def server_bind(self):
        # The one of HTTPServer asks the network for the machine's name.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def main():
    port, host = os.environ.get("PORT", "5000"), os.environ.get("HOST", "127.0.0.1")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        sys.exit(f"PORT: {port!r} is no port; set a number from 1 to 65535, or 0 for any free one")
    Handler.keep = Keep(Path(os.environ.get("SCORES_FILE") or HERE / "scores.json"))
    try:
        server = Server((host, int(port)), Handler)
    except OSError as error:
        sys.exit(f"PORT: cannot listen on {host}:{port} ({error.strerror or error}); set another PORT or HOST")
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: sys.exit(0))
    print(f"{rules.NAME}: http://{host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
