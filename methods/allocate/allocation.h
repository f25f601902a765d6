// Allocation: how a budget of parameters is shared among linears that can each be compressed more or less.
//
// Every linear offers a curve of sizes and losses. `uniform` gives each the same fraction; what rounding
// leaves over goes to the next one. `energy` gives all the same relative loss. `threshold` minimizes the sum
// of losses under the budget: with a price a parameter, each linear takes the point where loss + price *
// parameters is least, and the price is found by bisection (water-filling: every linear is cut at the same
// marginal loss a parameter, so one threshold holds for all layers). It is meant for losses in one unit, such
// as those of two-sided whitening. The dense matrix (loss 0) is a point of every curve, so that a linear
// stays dense where factorizing does not pay; what then is left of the budget buys the best steps that still
// fit. `drank` gives each linear ranks k with the least sum of R / k, R its effective rank: k sqrt(w)
// proportional to sqrt(R), w being the parameters a rank (D-Rank, arXiv 2509.25622; there within one kind of
// linears at a time, with a share of q and k given to v afterwards).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tnb {

enum class Allocation { kUniform, kEnergy, kThreshold, kDRank };
Allocation AllocationFrom(const std::string& name);  // "uniform" "energy" "threshold" "drank"; Error{kUsage}

struct RateCurve {
  std::string name;                 // of the linear
  std::vector<int64_t> parameters;  // strictly ascending; the last one is the dense matrix
  std::vector<double> loss;         // not increasing, not negative; the last one is 0
  double total = 0;                 // the loss of keeping nothing, for relative losses
  double effective_rank = 0;        // exp of the entropy of the normalized squares; for drank
};

// One point (index) a curve, together at most `budget` parameters. Error{kUsage} with the least possible
// budget when even the smallest points are more. kUniform needs no losses.
std::vector<size_t> Allocate(Allocation allocation, const std::vector<RateCurve>& curves, int64_t budget);

}  // namespace tnb
