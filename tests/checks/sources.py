"""The project's own files, for the checks in this folder.

Every check takes the root of the project, prints one line for each finding ("file:line: what"), and ends with 1 when
there is one. A check whose tool is not installed prints "SKIPPED: ..." and ends with 77, which ctest shows as skipped.
"""

import pathlib
import sys

SKIPPED = 77
CODE = {".cc", ".h"}
SCRIPTS = {".py", ".sh", ".cmake"}


def files(root, suffixes=None):
    """All files below root in order, without build folders and caches; of the given suffixes only."""
    found = []

    def walk(folder):
        for path in sorted(folder.iterdir()):
            if path.is_symlink():
                continue
            if path.is_dir():
                if path.name in {".git", "__pycache__", "build"} or (path / "CMakeCache.txt").exists():
                    continue
                walk(path)
            elif suffixes is None or path.suffix in suffixes:
                found.append(path)

    walk(pathlib.Path(root))
    return found


def text(path):
    """The file as text, or None for a binary file."""
    data = path.read_bytes()
    if b"\0" in data[:4096]:
        return None
    return data.decode("utf-8", errors="replace")


def finish(findings, checked):
    """Prints the findings and the count, and ends the process."""
    for finding in findings:
        print(finding)
    if not checked:
        findings = ["nothing was checked"]
        print("nothing was checked: is the argument the root of the project?")
    print(f"{checked} files checked, {len(findings)} findings")
    sys.exit(1 if findings else 0)


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(SKIPPED)
