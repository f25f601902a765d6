#include "verify/lattice.h"

#include <algorithm>

#include "base/error.h"

namespace tnb {
namespace {

int HeavyHexSites(int rows) { return rows * (2 * rows + 1) - 2 + (rows - 1) * (rows + 1) / 2; }

}  // namespace

Lattice HeavyHex(int rows) {
  if (rows < 3 || rows % 2 == 0) {
    throw Error(ErrorKind::kUsage, {"no heavy-hexagon lattice", "an odd number of rows, at least 3",
                                    std::to_string(rows), "", ""});
  }
  const int columns = 2 * rows + 1;
  Lattice lattice;
  // Of the row above: the connectors below it, as (column, site).
  std::vector<std::pair<int, int>> connectors;
  for (int row = 0; row < rows; ++row) {
    const int first = row == rows - 1 ? 1 : 0;
    const int last = row == 0 ? columns - 2 : columns - 1;
    const int start = lattice.sites - first;  // the site of a column is start + column
    lattice.sites += last - first + 1;
    for (int column = first; column < last; ++column) {
      lattice.bonds.emplace_back(start + column, start + column + 1);
    }
    for (const auto& [column, connector] : connectors) lattice.bonds.emplace_back(connector, start + column);
    connectors.clear();
    if (row == rows - 1) break;
    for (int column = row % 2 == 0 ? 0 : 2; column < columns; column += 4) {
      lattice.bonds.emplace_back(start + column, lattice.sites);
      connectors.emplace_back(column, lattice.sites++);
    }
  }
  return lattice;
}

Lattice HeavyHexOf(int sites) {
  int rows = 3;
  while (HeavyHexSites(rows) < sites && rows < 1001) rows += 2;
  if (HeavyHexSites(rows) != sites) {
    std::string expected = std::to_string(HeavyHexSites(rows));
    if (rows > 3) expected = std::to_string(HeavyHexSites(rows - 2)) + " or " + expected;
    throw Error(ErrorKind::kUsage,
                {"no heavy-hexagon lattice has this many sites", expected, std::to_string(sites), "",
                 "IBM's processors have 65, 127, 433 and 1121"});
  }
  return HeavyHex(rows);
}

std::vector<int> Neighborhood(const Lattice& lattice, int site, int distance) {
  std::vector<bool> inside(lattice.sites, false);
  inside.at(site) = true;
  for (int step = 0; step < distance; ++step) {
    const std::vector<bool> before = inside;
    for (const auto& [a, b] : lattice.bonds) {
      if (before[a]) inside[b] = true;
      if (before[b]) inside[a] = true;
    }
  }
  std::vector<int> sites;
  for (int i = 0; i < lattice.sites; ++i) {
    if (inside[i]) sites.push_back(i);
  }
  return sites;
}

}  // namespace tnb
