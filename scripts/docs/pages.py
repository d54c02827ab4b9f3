"""Markdown as these scripts see it: headings with their anchors, links, fenced blocks with what is said of them."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

FENCE = re.compile(r"^( *)(`{3,})([^`]*)$")
DIRECTIVE = re.compile(r"^<!-- *([a-z ]+?)(?:: *(.*?))? *-->$")
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$")


@dataclass
class Block:
    """A fenced block, and the directive in the comment above it, if there is one."""

    page: Path
    line: int
    language: str
    text: str
    directive: str
    argument: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass
class Note:
    """A comment that is a step of its own: `<!-- stop -->`."""

    page: Path
    line: int
    directive: str
    argument: str


def files(*patterns: str) -> list[Path]:
    """The files that Git knows or would add, so that what builds and installs leave behind does not count."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted({ROOT / name for name in listed.splitlines() if (ROOT / name).is_file()})


def steps(page: Path) -> list[Block | Note]:
    """The page's blocks, and its comments that are steps, in order."""
    found: list[Block | Note] = []
    directive, argument = "", ""
    block: Block | None = None
    close, lines = "", []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if block is not None:
            if line.strip() == close:
                block.text = "\n".join(lines) + "\n"
                found.append(block)
                block, lines = None, []
            else:
                lines.append(line)
            continue
        if fence := FENCE.match(line):
            close = fence[2]
            block = Block(page, number, fence[3].strip(), "", directive, argument)
            directive, argument = "", ""
        elif comment := DIRECTIVE.match(line.strip()):
            if comment[1] in ("stop", "after"):
                found.append(Note(page, number, comment[1], comment[2] or ""))
            else:
                directive, argument = comment[1], comment[2] or ""
        elif line.strip():
            directive, argument = "", ""
    if block is not None:
        raise SystemExit(f"{block}: the block has no end")
    return found


def blocks(page: Path) -> list[Block]:
    return [step for step in steps(page) if isinstance(step, Block)]


def prose(page: Path) -> list[tuple[int, str]]:
    """The lines outside of fenced blocks, with their numbers."""
    kept, close = [], ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if close:
            close = "" if line.strip() == close else close
        elif fence := FENCE.match(line):
            close = fence[2]
        else:
            kept.append((number, line))
    return kept


def anchors(page: Path) -> set[str]:
    """What a `#…` can name in the page, as GitHub makes it of headings."""
    found: set[str] = set()
    seen: dict[str, int] = {}
    for _, line in prose(page):
        found.update(re.findall(r'<a (?:id|name)="([^"]+)"', line))
        if not (heading := HEADING.match(line)):
            continue
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        times = seen.get(slug, 0)
        seen[slug] = times + 1
        found.add(f"{slug}-{times}" if times else slug)
    return found
