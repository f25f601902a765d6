"""check_format.py ROOT: clang-format would change nothing. To repair a file: clang-format -i FILE."""

import pathlib
import re
import shutil
import subprocess
import sys

import sources


def main(root):
    tool = shutil.which("clang-format")
    if tool is None:
        sources.skip("clang-format is not installed (apt-get install clang-format)")
    paths = sources.files(root, sources.CODE)
    result = subprocess.run([tool, "--dry-run", "-Werror", "--style=file", "--ferror-limit=1", *paths], cwd=root,
                            capture_output=True, text=True)
    findings = [f"{pathlib.Path(match[1]).relative_to(root)}:{match[2]}: not as clang-format writes it"
                for match in re.finditer(r"^(.+?):(\d+):\d+: error: .*clang-format-violations", result.stderr,
                                         re.MULTILINE)]
    if result.returncode != 0 and not findings:
        findings.append(result.stderr.strip())
    sources.finish(findings, len(paths))


main(pathlib.Path(sys.argv[1]).resolve())
