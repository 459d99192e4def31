"""What is Memory's own: its scores. The server itself is the same file as in ../snake, and tested there too."""

import unittest

from served import APP, Served

NOBODY = {"small": None, "medium": None, "large": None}


class Shared(unittest.TestCase):
    def test_what_snake_and_memory_share_is_the_same(self):
        snake = APP.parent / "snake"
        if not snake.exists():
            self.skipTest("this app is alone")
        for name in ("server.py", "keep.py", "bad_score.py", "page/scores.mjs", "tests/served.py"):
            self.assertEqual((APP / name).read_text(), (snake / name).read_text(), f"{name} differs from snake's")


class Memory(unittest.TestCase):
    def setUp(self):
        self.server = Served()
        self.server.start()

    def tearDown(self):
        code, complaints = self.server.stop()
        self.server.folder.cleanup()
        self.assertEqual((code, complaints), (0, ""))

    def test_health_answers(self):
        self.assertEqual(self.server.get("/health"), (200, {"status": "healthy", "app": "memory"}))

    def test_page_and_all_it_names_are_served(self):
        status, headers, body = self.server.raw("GET", "/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        for name in ("style.css", "main.mjs", "icon.svg"):
            self.assertIn(f'"{name}"'.encode(), body)
        for name in ("style.css", "main.mjs", "icon.svg", "rules.mjs", "pictures.mjs", "scores.mjs"):
            self.assertEqual(self.server.raw("GET", f"/{name}")[0], 200, name)
        self.assertEqual(self.server.get("/keep.py")[0], 404)

    def play(self, board, moves, seconds):
        status, answer = self.server.post({"board": board, "moves": moves, "seconds": seconds})
        self.assertEqual(status, 200, answer)
        return answer["record"]

    def test_fewer_moves_are_better_and_then_less_time(self):
        self.assertEqual(self.server.get("/api/scores"), (200, NOBODY))
        self.assertTrue(self.play("small", 10, 30))
        self.assertFalse(self.play("small", 11, 5))
        self.assertFalse(self.play("small", 10, 30))
        self.assertFalse(self.play("small", 10, 29.96))  # counted in tenths: 30.0
        self.assertTrue(self.play("small", 10, 29.9))
        self.assertTrue(self.play("small", 9, 300))
        self.assertTrue(self.play("large", 12, 0.01))
        best = {"small": {"moves": 9, "seconds": 300.0}, "medium": None, "large": {"moves": 12, "seconds": 0.1}}
        self.assertEqual(self.server.get("/api/scores")[1], best)
        self.assertEqual(self.server.stop(), (0, ""))
        self.server.start()
        self.assertEqual(self.server.get("/api/scores")[1], best)

    def test_impossible_scores_are_refused_by_field_value_and_way_out(self):
        fair = {"board": "medium", "moves": 20, "seconds": 60}
        for change, field, value, way_out in (
            ({"board": "huge"}, "board", "huge", "use small, medium, large"),
            ({"board": {}}, "board", "{}", "use small, medium, large"),
            ({"moves": 7}, "moves", 7, "whole number from 8 (a move for each pair) to 10000"),
            ({"moves": 10_001}, "moves", 10_001, "whole number from 8 (a move for each pair) to 10000"),
            ({"moves": "20"}, "moves", "20", "whole number from 8 (a move for each pair) to 10000"),
            ({"moves": 10**300}, "moves", "1" + "0" * 79 + "…", "whole number from 8 (a move for each pair) to 10000"),
            ({"seconds": 0}, "seconds", 0, "above 0, at most 86400"),
            ({"seconds": 86_401}, "seconds", 86_401, "above 0, at most 86400"),
            ({"seconds": float("inf")}, "seconds", "inf", "above 0, at most 86400"),
            ({"seconds": float("nan")}, "seconds", "nan", "above 0, at most 86400"),
            ({"seconds": False}, "seconds", False, "above 0, at most 86400"),
            ({"name": "eve"}, "name", "eve", "send only board, moves and seconds"),
        ):
            status, answer = self.server.post({**fair, **change})
            self.assertEqual((status, answer["field"], answer["value"]), (422, field, value), answer)
            self.assertIn(way_out, answer["detail"])
        for left_out in fair:
            status, answer = self.server.post({name: value for name, value in fair.items() if name != left_out})
            self.assertEqual((status, answer["field"], answer["value"]), (422, left_out, None))
        self.assertEqual(self.server.get("/api/scores")[1], NOBODY)


if __name__ == "__main__":
    unittest.main()
