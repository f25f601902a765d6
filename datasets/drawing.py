"""What the generators of this folder share: reproducible draws, and writing or comparing the files they make."""

import sys


def draw(rng, values):
    return values[int(rng.random() * len(values))]


def shuffled(rng, values):
    """Own shuffle, from random() alone: only its sequence is promised to stay the same in every Python."""
    values = list(values)
    for i in range(len(values) - 1, 0, -1):
        j = int(rng.random() * (i + 1))
        values[i], values[j] = values[j], values[i]
    return values


def write_or_check(files, check):
    """Writes the (path, text) pairs; with check it writes nothing and ends the program when a file differs."""
    different = []
    for path, text in files:
        content = text.encode()
        if not check:
            path.write_bytes(content)
        elif not path.exists() or path.read_bytes() != content:
            different.append(path.name)
    if different:
        sys.exit(f"not what the generator writes: {', '.join(different)} (run generate.py)")
