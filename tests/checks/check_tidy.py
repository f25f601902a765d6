"""check_tidy.py ROOT BUILD [--seconds N] [FILE...]: clang-tidy, with the checks of .clang-tidy.

BUILD is a configured build folder. Without files, all are checked, those changed last first; when the seconds are
over, the rest is named on one line and left out.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import sources


def compile_commands(root, build):
    """One command a source. A build that compiles several sources at a time is configured once more, without that."""
    commands = json.loads((build / "compile_commands.json").read_text())
    if not any("/Unity/" in command["file"] for command in commands):
        return commands
    single = root / "build" / "tidy"
    torch = re.search(r"^Torch_DIR:PATH=(.+)$", (build / "CMakeCache.txt").read_text(), re.MULTILINE)
    subprocess.run(["cmake", "--preset", "release", "-B", str(single), "-DTNBENCH_UNITY=OFF"] +
                   ([f"-DTorch_DIR={torch[1]}"] if torch else []), cwd=root, check=True, stdout=subprocess.DEVNULL)
    return json.loads((single / "compile_commands.json").read_text())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("files", nargs="*", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_intermixed_args()
    tool = shutil.which("clang-tidy")
    if tool is None:
        sources.skip("clang-tidy is not installed (apt-get install clang-tidy)")
    commands = compile_commands(options.root, options.build)
    for command in commands:
        # Precompiled headers are the compiler's own; clang-tidy cannot read those of another one.
        command["command"] = re.sub(r"-include \S+cmake_pch\.hxx", "", command["command"])
    known = {pathlib.Path(command["file"]) for command in commands}
    wanted = options.files or [path for path in sources.files(options.root, {".cc"}) if path in known]
    wanted.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    unknown = [str(path) for path in wanted if path not in known]
    if unknown:
        sys.exit(f"not in the build {options.build}: {' '.join(unknown)}")
    end = time.monotonic() + options.seconds
    left_out, findings = [], []
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "compile_commands.json").write_text(json.dumps(commands))

        def check(path):
            if time.monotonic() > end:
                left_out.append(path)
                return
            result = subprocess.run([tool, "-p", folder, "--quiet", str(path)], cwd=options.root,
                                    capture_output=True, text=True)
            found = re.findall(r"^.*: (?:warning|error): .*$", result.stdout, re.MULTILINE)
            if result.returncode != 0 and not found:
                found = [f"{path}:1: clang-tidy failed: {result.stderr.strip()}"]
            findings.extend(line.replace(f"{options.root}/", "") for line in found)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(check, wanted))
    if left_out:
        names = " ".join(sorted(str(path.relative_to(options.root)) for path in left_out))
        print(f"SKIPPED for lack of time: {names}")
    sources.finish(sorted(set(findings)), len(wanted) - len(left_out))


main()
