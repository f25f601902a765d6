#include "models/training/adapter.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tnb {

void AddAdapter(LinearSlot& slot, int64_t rank, at::Generator& generator) {
  const int64_t out = slot.linear->out_features(), in = slot.linear->in_features();
  const int64_t most = std::min(out, in);
  if (rank < 1 || rank > most) {
    throw Error(ErrorKind::kUsage,
                {"an adapter has an impossible rank",
                 "1 to " + std::to_string(most) + " for " + std::to_string(out) + " x " + std::to_string(in),
                 std::to_string(rank), slot.name, "a smaller rank, or a narrower selector"});
  }
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  const at::Tensor a = at::empty({rank, in}, at::kFloat).uniform_(-bound, bound, generator);
  // Legs: outputs, inputs, rank.
  std::unique_ptr<Linear> adapter =
      MakeNetworkLinear({{a, {2, 1}}, {at::zeros({out, rank}), {0, 2}}}, {0}, {1});
  for (int64_t i = 0; i < adapter->weight_count(); ++i) {
    const at::Tensor values = adapter->weight(i)->Dense().to(at::kBFloat16);
    adapter->ReplaceWeight(i, MakeDenseWeight(values, Activation::kF32));
  }
  const at::Tensor bias = slot.linear->bias();
  slot.linear->set_bias({});
  std::vector<std::unique_ptr<Linear>> parts;
  parts.push_back(std::move(slot.linear));
  parts.push_back(std::move(adapter));
  slot.linear = MakeSumLinear(std::move(parts), 1);
  slot.linear->set_bias(bias);
}

at::Tensor AdapterMatrix(const Linear& linear) {
  const int64_t first = linear.weight_count() - kAdapterWeights;
  return at::matmul(linear.weight(first + 1)->Dense(), linear.weight(first)->Dense());
}

}  // namespace tnb
