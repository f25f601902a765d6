"""check_text.py ROOT: no paths of one machine, no package registries by name, no marks of unfinished work."""

import pathlib
import re
import sys

import sources

# Written so that this file passes its own check.
PATHS = re.compile(r"(?:^|[\s\"'`=(:,\[])(/(?:work|root|home|Users|opt|mnt|tm" r"p)/[\w.-]+)", re.MULTILINE)
REGISTRIES = re.compile(
    r"\b(" + "|".join(host.replace("_", r"\.") for host in (
        "pypi_org", "files_pythonhosted_org", "download_pytorch_org", "deb_debian_org", "anaconda_org",
        "registry_npmjs_org", "crates_io", "proxy_golang_org", "docker_io")) + r")\b")
MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MARKED = sources.CODE | sources.SCRIPTS | {".md", ".txt", ""}


def main(root):
    findings, checked = [], 0
    for path in sources.files(root):
        text = sources.text(path)
        if text is None:
            continue
        checked += 1
        rules = [(PATHS, "a path of one machine"), (REGISTRIES, "a package registry by name")]
        if path.suffix in MARKED:
            rules.append((MARKS, "a mark of unfinished work"))
        for rule, what in rules:
            for match in rule.finditer(text):
                line = text.count("\n", 0, match.start(1)) + 1
                findings.append(f"{path.relative_to(root)}:{line}: {what}: {match.group(1)}")
    sources.finish(findings, checked)


main(pathlib.Path(sys.argv[1]).resolve())
