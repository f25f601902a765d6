// What factorized linears cost, from the record of a run: multiply-adds contracted, rebuilt and dense, the
// times of single linears, and the break-even points.
//
// Contracting n tokens takes n c multiply-adds, rebuilding W first r + n d, the dense matrix n d. Rebuilding
// is less from n = r / (c - d) tokens on, and never when c <= d; contracting needs less than the dense matrix
// when c < d, whatever n. A balanced tensor network has c = t d' with t its inner leg, so that few parameters
// can be much arithmetic.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "records/store.h"

namespace tnb {

// All factorized linears of one kind ("q", "down").
struct LinearCosts {
  std::string kind;
  int64_t linears = 0;
  // Multiply-adds, sums over the linears: of one token, and of rebuilding once.
  double dense = 0, contracted = 0, rebuild = 0;
  // Seconds, means over the linears that were timed: contracted and rebuilt at one token, and at `tokens`.
  int64_t timed = 0, tokens = 0;
  double contracted_one = 0, rebuilt_one = 0, contracted_many = 0, rebuilt_many = 0;

  // Least number of tokens at which rebuilding takes fewer multiply-adds; none: contracting always does.
  std::optional<double> BreakEven() const;
  // The same by the times, straight lines between one token and `tokens`; none: contracting is faster at
  // both, or nothing was timed.
  std::optional<double> MeasuredBreakEven() const;
};

// In the order of a block. Empty when nothing is factorized, or the run is of a version that did not record
// it.
std::vector<LinearCosts> CostsOf(const Store& store, int64_t run_id);

// A table for people; "" without costs.
std::string CostText(const std::vector<LinearCosts>& costs);
Json ToJson(const std::vector<LinearCosts>& costs);

}  // namespace tnb
