"""What the pages show of code is at least code: JavaScript, Python, JSON, TOML and shell parse, and Rust is compiled by
the crate's doc tests, which have to include every page with Rust in it."""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from pages import ROOT, Block, blocks, files


def run(*command: str) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    return None if done.returncode == 0 else (done.stderr or done.stdout).strip()


def problem(block: Block, folder: Path) -> str | None:
    language = re.split(r"[ ,]", block.language)[0]
    if language in ("js", "javascript"):
        file = folder / "snippet.mjs"
        # At the top level of a handler, say, `return` and `await` are good.
        file.write_text(block.text if re.search(r"^(import|export) ", block.text, re.M) else f"async () => {{\n{block.text}\n}};\n")
        return run("node", "--check", str(file))
    if language in ("py", "python"):
        try:
            compile(block.text, str(block), "exec")
        except SyntaxError as error:
            return str(error)
    if language == "json":
        try:
            json.loads(block.text)
        except ValueError as error:
            return str(error)
    if language == "toml":
        try:
            tomllib.loads(block.text)
        except ValueError as error:
            return str(error)
    if language in ("sh", "bash"):
        file = folder / "snippet.sh"
        file.write_text(block.text)
        return run("bash", "-n", str(file))
    if language == "":
        return "the block says no language (`text` for none)"
    return None


def main() -> int:
    bad, count = [], 0
    included = set(re.findall(r'include_str!\("\.\./([^"]+\.md)"\)', (ROOT / "src/lib.rs").read_text()))
    with tempfile.TemporaryDirectory() as folder:
        for page in files("docs/*.md", "README.md"):
            name = str(page.relative_to(ROOT))
            for block in blocks(page):
                count += 1
                if found := problem(block, Path(folder)):
                    bad.append(f"{block}: {found}")
                if block.language.startswith("rust") and name not in included:
                    bad.append(f"{block}: src/lib.rs does not include {name} among the doc tests")
                if block.language in ("sh", "bash") and block.directive not in ("run", "serve", "not run"):
                    bad.append(f"{block}: neither run by scripts/docs/run.py nor said why not")
    print("\n".join(bad) or f"{count} blocks, all of them good")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
