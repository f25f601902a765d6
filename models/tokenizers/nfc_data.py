"""Writes nfc_pairs.cc, nfc_singles.cc and nfc_classes.cc from CPython's unicodedata.

Usage: python3 nfc_data.py FOLDER   (needed only when the Unicode version is to change)
"""
import pathlib
import sys
import unicodedata as u


def table(folder, file, type_, function, rows):
    cells, lines, line = ["{%s}," % ",".join(map(str, row)) for row in rows], [], "   "
    for cell in cells:
        if len(line) + len(cell) >= 110:
            lines.append(line)
            line = "   "
        line += " " + cell
    text = (f"// Written by nfc_data.py from Unicode {u.unidata_version}; do not edit.\n// clang-format off\n"
            f'#include "models/tokenizers/nfc_data.h"\n\nnamespace tnb {{\nnamespace {{\n\nconstexpr {type_} kRows[] = {{\n'
            + "\n".join(lines + [line]) + f"\n}};\n\n}}  // namespace\n\nstd::span<const {type_}> {function}() {{ return kRows; }}\n\n}}  // namespace tnb\n")
    (pathlib.Path(folder) / file).write_text(text)


pairs, singles, classes = [], [], []
for code in range(0x110000):
    if 0xD800 <= code <= 0xDFFF or 0xAC00 <= code <= 0xD7A3:
        continue
    char = chr(code)
    parts = u.decomposition(char)
    if parts and not parts.startswith("<"):
        parts = [int(part, 16) for part in parts.split()]
        if len(parts) == 2:
            pairs.append((code, *parts, int(u.normalize("NFC", char) != char)))
        else:
            singles.append((code, parts[0]))
    combining = u.combining(char)
    if combining:
        if classes and classes[-1][1] == code - 1 and classes[-1][2] == combining:
            classes[-1] = (classes[-1][0], code, combining)
        else:
            classes.append((code, code, combining))
table(sys.argv[1], "nfc_pairs.cc", "NfcPair", "NfcPairs", pairs)
table(sys.argv[1], "nfc_singles.cc", "NfcSingle", "NfcSingles", singles)
table(sys.argv[1], "nfc_classes.cc", "NfcClass", "NfcClasses", classes)
