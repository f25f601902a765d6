"""check_includes.py ROOT: the folders depend on each other downwards only.

harness -> {methods, tasks, reports, verify} -> {models, datasets, records} -> base. A folder may include itself and what lies
on lower levels; tests may include everything, and nothing may include tests. Quoted includes name a file from the
root, or one that the build generates: a CMakeLists.txt then names it.
"""

import pathlib
import re
import sys

import sources

LEVELS = [["base"], ["models", "datasets", "records"], ["methods", "tasks", "reports", "verify"], ["harness"], ["tests"]]
LEVEL = {folder: number for number, folders in enumerate(LEVELS) for folder in folders}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def main(root):
    findings, checked = [], 0
    generated = set()
    for path in sources.files(root, {".txt"}):
        if path.name == "CMakeLists.txt":
            generated.update(re.findall(r"[\w.-]+\.h\b", sources.text(path)))
    for path in sources.files(root, sources.CODE):
        name = path.relative_to(root)
        if name.parts[0] not in LEVEL:
            continue  # build helpers
        checked += 1
        for number, line in enumerate(sources.text(path).splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            included = match.group(1)
            source, target = name.parts[0], included.split("/")[0]
            where = f"{name}:{number}: "
            if not (root / included).is_file():
                if pathlib.Path(included).name in generated:
                    continue
                findings.append(where + f'"{included}" is no file of the project, named from its root')
            elif target not in LEVEL:
                findings.append(where + f'"{included}" lies in no folder of the architecture')
            elif target != source and LEVEL[target] >= LEVEL[source]:
                findings.append(where + f'{source} must not include "{included}": arrows go down only')
    sources.finish(findings, checked)


main(pathlib.Path(sys.argv[1]).resolve())
