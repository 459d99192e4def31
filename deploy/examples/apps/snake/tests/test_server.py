"""What a browser, a health check and a careless client get from the server."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from served import APP, Served


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Served()
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        code, complaints = cls.server.stop()
        cls.server.folder.cleanup()
        assert (code, complaints) == (0, ""), (code, complaints)

    def test_health_answers(self):
        self.assertEqual(self.server.get("/health"), (200, {"status": "healthy", "app": "snake"}))

    def test_page_and_all_it_names_are_served_from_here_alone(self):
        status, headers, body = self.server.raw("GET", "/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn("default-src 'self'", headers["Content-Security-Policy"])
        for name, kind in (("style.css", "text/css"), ("main.mjs", "text/javascript"), ("icon.svg", "image/svg+xml")):
            self.assertIn(f'"{name}"'.encode(), body)
            status, headers, _ = self.server.raw("GET", f"/{name}")
            self.assertEqual((status, headers["Content-Type"]), (200, f"{kind}; charset=utf-8"))

    def test_head_has_the_length_and_no_body(self):
        _, headers, body = self.server.raw("GET", "/?from=a-link")
        status, bare, nothing = self.server.raw("HEAD", "/")
        self.assertEqual((status, bare["Content-Length"], nothing), (200, headers["Content-Length"], b""))
        self.assertEqual(int(headers["Content-Length"]), len(body))

    def test_what_is_not_the_page_is_not_served(self):
        for path in ("/server.py", "/../server.py", "/page/index.html", "/%2e%2e/rules.py", "//etc/passwd", "/scores.json"):
            status, answer = self.server.get(path)
            self.assertEqual(status, 404, path)
            self.assertIn("use /, /health or /api/scores", answer["detail"])

    def test_wrong_method_names_the_right_ones(self):
        status, headers, body = self.server.raw("DELETE", "/api/scores")
        self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD, POST"))
        self.assertIn("takes no DELETE", json.loads(body)["detail"])
        self.assertEqual(self.server.raw("POST", "/health", b"{}")[0], 405)
        self.assertEqual(self.server.raw("BREW", "/")[0], 501)

    def test_body_that_nobody_reads_is_no_next_request(self):
        hidden = b"GET /api/scores HTTP/1.1\r\nHost: a\r\n\r\n"
        status, _, _ = self.server.raw("GET", "/health", hidden)
        self.assertEqual(status, 200)
        self.assertEqual(self.server.raw("POST", "/nowhere", hidden)[1]["Connection"], "close")

    def test_body_of_another_kind_is_refused(self):
        def status(body, **headers):
            status, _, answer = self.server.raw("POST", "/api/scores", body, **headers)
            self.assertTrue(json.loads(answer)["detail"], status)
            return status

        self.assertEqual(status(b"level=slow", Content_Type="application/x-www-form-urlencoded"), 415)
        self.assertEqual(status(b"{}", Content_Type="application/json", Content_Length="two"), 400)
        self.assertEqual(status(b" " * 2000, Content_Type="application/json"), 413)
        self.assertEqual(status(iter([b"{}"]), Content_Type="application/json", Transfer_Encoding="chunked"), 411)
        for broken in (b"", b"{", b"\xff", b"[" * 1000):
            self.assertIn(status(broken, Content_Type="application/json"), (400, 411), broken)


class Scores(unittest.TestCase):
    def test_best_of_each_level_stays_over_a_restart(self):
        with Served() as server:
            self.assertEqual(server.get("/api/scores"), (200, {"slow": None, "normal": None, "fast": None}))
            self.assertEqual(server.post({"level": "slow", "apples": 0}), (200, {"record": False, "best": None}))
            self.assertEqual(server.post({"level": "slow", "apples": 7}), (200, {"record": True, "best": {"apples": 7}}))
            for apples in (7, 6):
                self.assertEqual(server.post({"level": "slow", "apples": apples}), (200, {"record": False, "best": {"apples": 7}}))
            self.assertEqual(server.post({"level": "fast", "apples": 286})[1]["record"], True)
            self.assertEqual(server.stop(), (0, ""))
            server.start()
            self.assertEqual(server.get("/api/scores")[1], {"slow": {"apples": 7}, "normal": None, "fast": {"apples": 286}})

    def test_impossible_scores_are_refused_by_field_value_and_way_out(self):
        with Served() as server:
            for body, field, value, way_out in (
                ({"level": "warp", "apples": 1}, "level", "warp", "use slow, normal, fast"),
                ({"level": ["slow"], "apples": 1}, "level", "['slow']", "use slow, normal, fast"),
                ({"level": "x" * 500, "apples": 1}, "level", "'" + "x" * 79 + "…", "use slow, normal, fast"),
                ({"apples": 1}, "level", None, "use slow, normal, fast"),
                ({"level": "slow"}, "apples", None, "whole number from 0 to 286"),
                ({"level": "slow", "apples": -1}, "apples", -1, "whole number from 0 to 286"),
                ({"level": "slow", "apples": 287}, "apples", 287, "whole number from 0 to 286"),
                ({"level": "slow", "apples": 1.5}, "apples", 1.5, "whole number from 0 to 286"),
                ({"level": "slow", "apples": True}, "apples", True, "whole number from 0 to 286"),
                ({"level": "slow", "apples": float("nan")}, "apples", "nan", "whole number from 0 to 286"),
                ({"level": "slow", "apples": 1, "name": "eve"}, "name", "eve", "send only level and apples"),
                ([1], "body", "[1]", "is no object"),
            ):
                status, answer = server.post(body)
                self.assertEqual((status, answer["field"], answer["value"]), (422, field, value), answer)
                self.assertIn(way_out, answer["detail"])
                self.assertTrue(answer["detail"].startswith(f"{field}: "), answer)
            self.assertEqual(server.get("/api/scores")[1], {"slow": None, "normal": None, "fast": None})

    def test_broken_file_is_moved_aside_and_play_goes_on(self):
        for content in ("no json", "[1]", '{"slow": {"apples": 9999}}', '{"slow": 3}'):
            server = Served()
            server.scores.write_text(content)
            with server:
                self.assertEqual(server.get("/api/scores")[1], {"slow": None, "normal": None, "fast": None}, content)
                self.assertEqual(server.post({"level": "slow", "apples": 1})[1]["record"], True)
                self.assertEqual(Path(f"{server.scores}.broken").read_text(), content)

    def test_scores_that_cannot_be_written_last_until_the_end(self):
        with Served(SCORES_FILE="/nowhere/at/all.json") as server:
            for apples in (1, 2):
                self.assertEqual(server.post({"level": "slow", "apples": apples})[1]["record"], True)
            code, complaints = server.stop()
            self.assertEqual((code, complaints.count("SCORES_FILE: /nowhere/at/all.json cannot be written")), (0, 1))
            server.start()


class Start(unittest.TestCase):
    def start(self, port):
        command = [sys.executable, "-B", str(APP / "server.py")]
        environment = {**os.environ, "HOST": "127.0.0.1", "PORT": port}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)
        return done.returncode, done.stderr.strip()

    def test_port_that_is_none_says_so(self):
        for port in ("", "web", "-1", "65536", "٣"):
            self.assertEqual(self.start(port), (1, f"PORT: {port!r} is no port; set a number from 1 to 65535, or 0 for any free one"))

    def test_port_that_is_taken_says_so(self):
        with Served() as other:
            code, said = self.start(str(other.port))
            self.assertEqual(code, 1)
            self.assertRegex(said, rf"^PORT: cannot listen on 127.0.0.1:{other.port} \(.+\); set another PORT or HOST$")


if __name__ == "__main__":
    unittest.main()
