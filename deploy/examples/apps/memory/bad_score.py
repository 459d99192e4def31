"""The error for a score that cannot be."""

import math


class BadScore(ValueError):
    """Names the `field`, its `value` (shortened), and in its text the way out."""

    def __init__(self, field, value, way_out):
        shown = repr(value)
        shown = shown if len(shown) <= 80 else shown[:80] + "…"
        # JSON has no word for "not a number" and "infinite".
        plain = value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))
        self.field, self.value = field, value if plain and len(repr(value)) <= 80 else shown
        super().__init__(f"{field}: {shown} {way_out}")
