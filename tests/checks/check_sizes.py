"""check_sizes.py ROOT: no source file is larger than 30 kB."""

import pathlib
import sys

import sources

LARGEST = 30_000


def main(root):
    findings, checked = [], 0
    for path in sources.files(root, sources.CODE | sources.SCRIPTS):
        checked += 1
        size = path.stat().st_size
        if size > LARGEST:
            findings.append(f"{path.relative_to(root)}:1: {size} bytes, more than {LARGEST}: split it")
    sources.finish(findings, checked)


main(pathlib.Path(sys.argv[1]).resolve())
