// The kicked Ising circuit of Kim et al., Nature 618, 500 (2023), on heavy-hexagon lattices:
//
//   |psi_n> = U^n |0 .. 0>,   U(theta) = prod_bonds exp(i pi/4 Z Z)  prod_sites exp(-i theta/2 X),
//
// measured at 17 angles theta = m pi/32, m = 0 .. 16. Every step doubles the exact bond dimension, so that
// chi = 2^n truncates nothing, and up to 5 steps the light cone closes no loop of the lattice: then GraphPeps
// is exact and has to agree with exact simulations to rounding.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "verify/lattice.h"

namespace tnb {

constexpr int kIsingAngles = 17;
double IsingAngle(int m);  // m pi/32

struct IsingPoint {
  int m = 0;
  int chi = 0;
  double value = 0;  // <Z> of the site, or its mean over all sites
  int largest_bond = 0;
  double largest_discarded = 0;
  double seconds = 0;  // wall time of this point, on one thread
};

// One point. `site` none: the mean over all sites.
IsingPoint RunKickedIsing(const Lattice& lattice, int steps, int m, int chi, std::optional<int> site);

// All angles for all bond dimensions, [chi][m]; points are shared among `threads` threads. `done` is called
// after each point, by one thread at a time.
std::vector<std::vector<IsingPoint>> RunKickedIsing(const Lattice& lattice, int steps,
                                                    const std::vector<int>& chis, std::optional<int> site,
                                                    int threads, const std::function<void()>& done);

// Published values of one observable at the 17 angles.
struct IsingReference {
  std::string observable;  // "M_z", "Z_62"
  int sites = 0, steps = 0;
  std::optional<int> site;  // none: the mean over all sites
  std::vector<double> values;
  std::string source;
  // With at least this bond dimension the simulation must agree to `tolerance`; 0: it is not exact here.
  int exact_chi = 0;
  double tolerance = 0;
};

// From ising_reference.json; none for a case that nobody published.
std::optional<IsingReference> FindIsingReference(int sites, int steps, std::optional<int> site);

}  // namespace tnb
