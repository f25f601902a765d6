// Cheap measures that are said to foretell what compressing a linear costs, to be held against the truth:
//   "effective rank"             exp(entropy of sigma^2 / sum sigma^2) of W, as a share of its full rank
//   "effective rank rearranged"  the same of the matrix whose low rank a balanced two-core operator is
//   "output error"               |(W - W') X| / |W X| over a calibration text
// The weight error |W - W'| / |W| is in the record already. Every one is larger where compressing should be
// worse. Computed in this process, linear by linear.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/calibration.h"
#include "harness/weight_supply.h"

namespace tnb {

// Of one matrix [out, in]: the two effective ranks, each in (0, 1].
struct EffectiveRanks {
  double plain = 0, rearranged = 0;
};
EffectiveRanks EffectiveRanksOf(const at::Tensor& w);

class ProfileProxies {
 public:
  // `text`: the one of `texts` that output errors are measured on; "": there are none. The other texts are
  // those that methods are calibrated on. `folder` keeps the statistics.
  ProfileProxies(const ModelConfig& config, const ModelSource& source,
                 const std::vector<CalibrationText>& texts, const std::string& text,
                 const std::filesystem::path& folder);
  ~ProfileProxies();

  // Means over the linears of a place. `method`: with the place's selector. Methods that rewrite the model
  // have no output error.
  std::map<std::string, double> Of(const std::vector<std::string>& linears, const std::string& method);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tnb
