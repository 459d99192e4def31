"""What a score of Snake is: how many apples were eaten at which speed."""

from bad_score import BadScore

NAME = "snake"
KIND = "level"
KINDS = ("slow", "normal", "fast")
# As in page/rules.mjs: the field's cells, less the three of a new snake.
MOST_APPLES = 17 * 17 - 3
SAMPLE = '{"level": "normal", "apples": 12}'


def check(body):
    """The level and the score in a request's JSON."""
    if not isinstance(body, dict):
        raise BadScore("body", body, f"is no object; send one such as {SAMPLE}")
    for field in body:
        if field not in ("level", "apples"):
            raise BadScore(field, body[field], f"is not known; send only level and apples, such as {SAMPLE}")
    level, apples = body.get("level"), body.get("apples")
    if level not in KINDS:
        raise BadScore("level", level, f"is no level; use {', '.join(KINDS)}")
    # A bool is an int to Python, and no number of apples.
    if type(apples) is not int or not 0 <= apples <= MOST_APPLES:
        raise BadScore("apples", apples, f"cannot be; use a whole number from 0 to {MOST_APPLES}")
    return level, {"apples": apples}


def is_record(score):
    """Whether it may stand as best at all: nothing eaten is no feat."""
    return score["apples"] > 0


def better(new, old):
    """Whether `new` beats `old`; as good as it does not."""
    return new["apples"] > old["apples"]
