"""Keeps the best score of each kind, in memory and in a file."""

import json
import os
import sys
import threading

import rules


class Keep:
    """The best scores. `file` is written anew with each record; who cannot write plays on and is told once."""

    def __init__(self, file):
        self.file = file
        self.lock = threading.Lock()
        self.scores = dict.fromkeys(rules.KINDS)
        self.told = False
        self.load()

    def load(self):
        try:
            stored = json.loads(self.file.read_text(encoding="utf-8"))
            for kind in rules.KINDS:
                if stored.get(kind) is not None:
                    self.scores[kind] = rules.check({rules.KIND: kind, **stored[kind]})[1]
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            # Moved, not overwritten: it may be somebody's.
            aside = f"{self.file}.broken"
            print(f"SCORES_FILE: {self.file} holds no scores ({error}); it is now {aside}", file=sys.stderr, flush=True)
            self.scores = dict.fromkeys(rules.KINDS)
            try:
                os.replace(self.file, aside)
            except OSError as failure:
                self.tell(failure)

    def best(self):
        """Every kind's best score; None where nobody has played."""
        with self.lock:
            return dict(self.scores)

    def add(self, kind, score):
        """Counts one game; says whether it is the best so far."""
        with self.lock:
            old = self.scores[kind]
            record = rules.is_record(score) and (old is None or rules.better(score, old))
            if record:
                self.scores[kind] = score
                self.save()
            return {"record": record, "best": self.scores[kind]}

    def save(self):
        beside = f"{self.file}.new"
        try:
            with open(beside, "w", encoding="utf-8") as file:
                json.dump(self.scores, file)
            os.replace(beside, self.file)
        except OSError as error:
            self.tell(error)

    def tell(self, error):
        if not self.told:
            print(f"SCORES_FILE: {self.file} cannot be written ({error}); scores last until the end", file=sys.stderr, flush=True)
            self.told = True
