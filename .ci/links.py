"""Finds dead links in the project's Markdown: files that are not there, headings that are not there.

Addresses of other machines are not asked: a check must not fail because a network does."""

import re
import subprocess
import sys
from pathlib import Path

FENCE = re.compile(r"^\s*(```|~~~)")
LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
REMOTE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def prose(path):
    """The lines of a file with their numbers, without fenced blocks."""
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(path):
    """The anchors that a file's headings get, by GitHub's rule."""
    seen = {}
    found = set()
    for _, line in prose(path):
        if heading := HEADING.match(line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1)).replace("`", "")
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            again = seen.get(slug, 0)
            seen[slug] = again + 1
            found.add(slug if again == 0 else f"{slug}-{again}")
    return found


def problem(source, target):
    """What is wrong with a link in a file, or nothing."""
    if REMOTE.match(target):
        return None
    name, _, anchor = target.partition("#")
    path = (source.parent / name) if name else source
    if not path.exists():
        return f"{target}: there is no {path}"
    if anchor and path.suffix == ".md" and anchor not in anchors(path):
        return f"{target}: {path} has no such heading"
    return None


def main():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], check=True, capture_output=True, text=True)
    files = [path for path in map(Path, listed.stdout.splitlines()) if path.exists()]
    links = 0
    dead = []
    for source in files:
        for number, line in prose(source):
            # What stands between backquotes is no link.
            for match in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
                links += 1
                if wrong := problem(source, match.group(1) or match.group(2)):
                    dead.append(f"{source}:{number}: {wrong}")
    print("\n".join(dead) if dead else f"{links} links in {len(files)} files lead somewhere")
    return bool(dead)


sys.exit(main())
