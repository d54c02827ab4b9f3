"""Every relative link of every Markdown file leads to a file that is there, and every #anchor to a heading.

Nothing is fetched. Links that rules, dashboards and sources have into `docs/` are looked at, too.
"""

import re
import sys
from urllib.parse import unquote

from pages import ROOT, anchors, files, prose

LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s*(\S+)|<(?:img|a|source)\b[^>]*?(?:src|srcset|href)=\"([^\"]+)\"")
# A path into the pages, as other files spell it.
INTO_DOCS = re.compile(r"\bdocs/([A-Za-z0-9_./-]+\.md)(?:#([A-Za-z0-9_-]+))?")


def main() -> int:
    bad, count = [], 0
    for page in files("*.md"):
        for number, line in prose(page):
            # What stands in backticks is no link.
            for found in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
                target = next(group for group in found.groups() if group)
                if re.match(r"[a-z][a-z0-9+.-]*:", target):
                    continue
                count += 1
                path, _, anchor = unquote(target).partition("#")
                to = (page.parent / path).resolve() if path else page
                where = f"{page.relative_to(ROOT)}:{number}"
                if not to.exists() or not to.is_relative_to(ROOT):
                    bad.append(f"{where}: there is no {target}")
                elif anchor and (to.suffix != ".md" or anchor not in anchors(to)):
                    bad.append(f"{where}: {path or 'this page'} has no #{anchor}")
    for file in files("*.yml", "*.yaml", "*.json", "*.rs", "*.py", "*.js", "*.mjs", "*.ts", "*.toml", "*.html"):
        if file.name in {"package-lock.json", "Cargo.lock"}:
            continue
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            for path, anchor in INTO_DOCS.findall(line):
                count += 1
                to, where = ROOT / "docs" / path, f"{file.relative_to(ROOT)}:{number}"
                if not to.exists():
                    bad.append(f"{where}: there is no docs/{path}")
                elif anchor and anchor not in anchors(to):
                    bad.append(f"{where}: docs/{path} has no #{anchor}")
    print("\n".join(bad) or f"{count} links, all of them good")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
