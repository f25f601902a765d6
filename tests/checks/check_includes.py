"""check_includes.py ROOT: the folders depend on each other downwards only.

harness -> {methods, tasks, reports} -> {models, datasets, records} -> base. A folder may include itself and what lies
on lower levels; tests may include everything, and nothing may include tests. Quoted includes name a file from the
root, or one that the build generates from a template NAME.in: then the template must be there.
"""

import pathlib
import re
import sys

import sources

LEVELS = [["base"], ["models", "datasets", "records"], ["methods", "tasks", "reports"], ["harness"], ["tests"]]
LEVEL = {folder: number for number, folders in enumerate(LEVELS) for folder in folders}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def main(root):
    findings, checked = [], 0
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
            generated = (root / target).is_dir() and any((root / target).rglob(pathlib.Path(included).name + ".in"))
            if not (root / included).is_file() and not generated:
                findings.append(where + f'"{included}" is no file of the project, named from its root')
            elif target not in LEVEL:
                findings.append(where + f'"{included}" lies in no folder of the architecture')
            elif target != source and LEVEL[target] >= LEVEL[source]:
                findings.append(where + f'{source} must not include "{included}": arrows go down only')
    sources.finish(findings, checked)


main(pathlib.Path(sys.argv[1]).resolve())
