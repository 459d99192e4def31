"""What a score of Memory is: in how many moves and seconds all pairs of a board were found."""

from bad_score import BadScore

NAME = "memory"
KIND = "board"
# Pairs on each board, as in page/rules.mjs.
PAIRS = {"small": 6, "medium": 8, "large": 12}
KINDS = tuple(PAIRS)
MOST_MOVES = 10_000
MOST_SECONDS = 24 * 60 * 60
SAMPLE = '{"board": "medium", "moves": 14, "seconds": 41.5}'


def check(body):
    """The board and the score in a request's JSON."""
    if not isinstance(body, dict):
        raise BadScore("body", body, f"is no object; send one such as {SAMPLE}")
    for field in body:
        if field not in ("board", "moves", "seconds"):
            raise BadScore(field, body[field], f"is not known; send only board, moves and seconds, such as {SAMPLE}")
    board, moves, seconds = body.get("board"), body.get("moves"), body.get("seconds")
    if not isinstance(board, str) or board not in PAIRS:
        raise BadScore("board", board, f"is no board; use {', '.join(PAIRS)}")
    # A bool is an int to Python, and no number of moves.
    if type(moves) is not int or not PAIRS[board] <= moves <= MOST_MOVES:
        fewest = f"{PAIRS[board]} (a move for each pair)"
        raise BadScore("moves", moves, f"cannot be; use a whole number from {fewest} to {MOST_MOVES}")
    if type(seconds) not in (int, float) or not 0 < seconds <= MOST_SECONDS:
        raise BadScore("seconds", seconds, f"cannot be; use a number above 0, at most {MOST_SECONDS}")
    return board, {"moves": moves, "seconds": max(0.1, round(float(seconds), 1))}


def is_record(score):
    """Whether it may stand as best at all: every finished game may."""
    return True


def better(new, old):
    """Whether `new` beats `old`: fewer moves, then less time."""
    return (new["moves"], new["seconds"]) < (old["moves"], old["seconds"])
