// verify/ checks computations of tnbench against results that other people published. It holds the
// computations; what is printed of them is the command's (harness/command_verify.cc). verify/ may use base/,
// nothing else.
//
// A Lattice is the graph of a many-body system: sites and the bonds between them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tnb {

struct Lattice {
  int sites = 0;
  std::vector<std::pair<int, int>> bonds;  // (a, b) with a < b, each once
};

// IBM's heavy-hexagon lattice with `rows` horizontal chains (odd, at least 3), numbered as IBM numbers its
// qubits: row by row, the connectors below a row before the next row. A chain has 2 rows + 1 sites; the first
// lacks its last site and the last one its first. Connectors hang at every fourth column, from column 0 below
// even rows and from column 2 below odd ones. 5, 7, 13 and 21 rows are the processors Hummingbird (65
// qubits), Eagle (127), Osprey (433) and Condor (1121). Error{kUsage} for other numbers of rows.
Lattice HeavyHex(int rows);
// The one with this many sites; Error{kUsage} names the nearest sizes.
Lattice HeavyHexOf(int sites);

// Sites at most `distance` bonds away from `site`, ascending.
std::vector<int> Neighborhood(const Lattice& lattice, int site, int distance);

}  // namespace tnb
