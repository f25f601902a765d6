#include "methods/factorize/contraction.h"

#include <ATen/ATen.h>

#include <cmath>
#include <map>

#include "base/error.h"

namespace tnb {
namespace {

constexpr size_t kMostExact = 12;

// Which legs tensors have, as bits, and how large they are.
class LegSets {
 public:
  explicit LegSets(const std::vector<NetworkTensor>& parts) {
    for (const NetworkTensor& part : parts) {
      uint64_t set = 0;
      for (size_t axis = 0; axis < part.legs.size(); ++axis) {
        const auto [found, is_new] = numbers_.try_emplace(part.legs[axis], sizes_.size());
        if (is_new)
          sizes_.push_back(std::log2(static_cast<double>(part.values.size(static_cast<int64_t>(axis)))));
        if (sizes_.size() > 64) throw Error(ErrorKind::kInternal, "a network of more than 64 legs");
        set |= uint64_t{1} << found->second;
      }
      sets.push_back(set);
    }
  }
  // Multiply-adds of contracting two tensors: the product over all their legs.
  double Cost(uint64_t a, uint64_t b) const {
    double bits = 0;
    for (uint64_t rest = a | b; rest != 0; rest &= rest - 1)
      bits += sizes_[static_cast<size_t>(__builtin_ctzll(rest))];
    return std::exp2(bits);
  }
  std::vector<uint64_t> sets;  // of every tensor

 private:
  std::map<int, size_t> numbers_;
  std::vector<double> sizes_;  // log2
};

using Pairs = std::vector<std::pair<size_t, size_t>>;

// The best of all orders.
Pairs BestPairs(const LegSets& legs, std::optional<size_t> changing, double runs, double& cost) {
  const size_t count = legs.sets.size(), all = (size_t{1} << count) - 1;
  std::vector<uint64_t> open(all + 1, 0);
  std::vector<double> least(all + 1, INFINITY);
  std::vector<size_t> split(all + 1, 0);
  for (size_t subset = 1; subset <= all; ++subset) {
    const auto low = static_cast<size_t>(__builtin_ctzll(subset));
    const size_t others = subset & (subset - 1);
    // A leg that two tensors of the subset share is gone.
    open[subset] = open[others] ^ legs.sets[low];
    if (others == 0) {
      least[subset] = 0;
      continue;
    }
    const double weight = changing && (subset >> *changing & 1) != 0 ? runs : 1;
    // All ways to part it in two, the half with the lowest tensor first.
    for (size_t rest = others; rest != 0; rest = (rest - 1) & others) {
      const size_t half = subset ^ rest;
      const double total = least[half] + least[rest] + weight * legs.Cost(open[half], open[rest]);
      if (total < least[subset]) {
        least[subset] = total;
        split[subset] = rest;
      }
    }
  }
  cost = least[all];
  Pairs pairs;
  const auto emit = [&](const auto& self, size_t subset) -> size_t {
    if ((subset & (subset - 1)) == 0) return static_cast<size_t>(__builtin_ctzll(subset));
    const size_t a = self(self, subset ^ split[subset]), b = self(self, split[subset]);
    pairs.emplace_back(a, b);
    return count + pairs.size() - 1;
  };
  emit(emit, all);
  return pairs;
}

// The cheapest pair again and again, one that shares a leg where there is one.
Pairs GreedyPairs(const LegSets& legs, double& cost) {
  struct Node {
    size_t number;
    uint64_t legs;
  };
  std::vector<Node> nodes;
  for (size_t i = 0; i < legs.sets.size(); ++i) nodes.push_back({i, legs.sets[i]});
  Pairs pairs;
  while (nodes.size() > 1) {
    size_t first = 0, second = 1;
    bool joined = false;
    double least = INFINITY;
    for (size_t a = 0; a < nodes.size(); ++a) {
      for (size_t b = a + 1; b < nodes.size(); ++b) {
        const bool shares = (nodes[a].legs & nodes[b].legs) != 0;
        const double of = legs.Cost(nodes[a].legs, nodes[b].legs);
        if (shares < joined || (shares == joined && of >= least)) continue;
        joined = shares;
        least = of;
        first = a;
        second = b;
      }
    }
    cost += least;
    pairs.emplace_back(nodes[first].number, nodes[second].number);
    nodes[first] = {legs.sets.size() + pairs.size() - 1, nodes[first].legs ^ nodes[second].legs};
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(second));
  }
  return pairs;
}

}  // namespace

Contraction::Contraction(std::vector<NetworkTensor> parts, std::optional<size_t> changing, int64_t runs)
    : values_(std::move(parts)), changing_(changing) {
  if (values_.empty()) throw Error(ErrorKind::kInternal, "a network without tensors");
  const LegSets legs(values_);
  const size_t count = values_.size();
  pairs_ = count <= kMostExact ? BestPairs(legs, changing, static_cast<double>(runs), multiply_adds_)
                               : GreedyPairs(legs, multiply_adds_);
  for (size_t i = 0; i < count; ++i) depends_.push_back(changing == i);
  for (const auto& [a, b] : pairs_) depends_.push_back(depends_[a] || depends_[b]);
  values_.resize(count + pairs_.size());
}

NetworkTensor Contraction::Value(size_t node) {
  if (values_[node].values.defined()) return values_[node];
  const auto [a, b] = pairs_[node - (values_.size() - pairs_.size())];
  const NetworkTensor left = Value(a), right = Value(b);
  NetworkTensor value = Contract(left, right);
  // What may be asked for again stays; what went into it is not needed any more.
  if (!depends_[node]) {
    values_[node] = value;
    for (const size_t used : {a, b}) values_[used] = {};
  }
  return value;
}

NetworkTensor Contraction::Run() { return Value(values_.size() - 1); }

NetworkTensor Contraction::Run(const NetworkTensor& changed) {
  if (!changing_) throw Error(ErrorKind::kInternal, "no tensor of this network changes");
  values_[*changing_] = changed;
  return Run();
}

}  // namespace tnb
