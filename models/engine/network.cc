// The one tensor-network linear: cores, each kept as a matrix, and an order in which x absorbs them.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "models/engine/linear.h"
#include "models/engine/linear_parts.h"
#include "models/engine/ops.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

// A core as a matrix: rows are the legs it adds to the running tensor, columns the legs it takes away.
struct Core {
  WeightPtr weight;
  std::vector<int> adds;
  std::vector<int> takes;
};

using Sizes = std::map<int, int64_t>;

int64_t Product(const std::vector<int>& legs, const Sizes& sizes) {
  int64_t product = 1;
  for (const int leg : legs) product *= sizes.at(leg);
  return product;
}

bool Contains(const std::vector<int>& legs, int leg) {
  return std::find(legs.begin(), legs.end(), leg) != legs.end();
}

std::vector<int> Without(const std::vector<int>& legs, const std::vector<int>& taken) {
  std::vector<int> rest;
  for (const int leg : legs) {
    if (!Contains(taken, leg)) rest.push_back(leg);
  }
  return rest;
}

std::vector<int64_t> AxisOrder(const std::vector<int>& from, const std::vector<int>& to) {
  std::vector<int64_t> axes;
  for (const int leg : to) axes.push_back(std::find(from.begin(), from.end(), leg) - from.begin());
  return axes;
}

}  // namespace

NetworkTensor Contract(const NetworkTensor& a, const NetworkTensor& b) {
  std::vector<int64_t> a_axes, b_axes;
  NetworkTensor result;
  for (size_t i = 0; i < a.legs.size(); ++i) {
    const auto found = std::find(b.legs.begin(), b.legs.end(), a.legs[i]);
    if (found == b.legs.end()) {
      result.legs.push_back(a.legs[i]);
    } else {
      a_axes.push_back(static_cast<int64_t>(i));
      b_axes.push_back(found - b.legs.begin());
    }
  }
  for (const int leg : b.legs) {
    if (!Contains(a.legs, leg)) result.legs.push_back(leg);
  }
  result.values = at::tensordot(a.values, b.values, a_axes, b_axes);
  return result;
}

namespace {

class NetworkLinear : public Linear {
 public:
  NetworkLinear(std::vector<Core> cores, std::vector<int> out_legs, std::vector<int> in_legs, Sizes sizes)
      : cores_(std::move(cores)),
        out_legs_(std::move(out_legs)),
        in_legs_(std::move(in_legs)),
        sizes_(std::move(sizes)) {
    std::vector<int> running = in_legs_;
    for (const Core& core : cores_) {
      const std::vector<int> rest = Without(running, core.takes);
      contracted_cost_ += Product(rest, sizes_) * Product(core.takes, sizes_) * Product(core.adds, sizes_);
      running = rest;
      running.insert(running.end(), core.adds.begin(), core.adds.end());
      widest_ = std::max(widest_, Product(running, sizes_));
    }
    // Contracting the cores with one another, in the same order.
    running.clear();
    for (const Core& core : cores_) {
      std::vector<int> legs = core.adds;
      legs.insert(legs.end(), core.takes.begin(), core.takes.end());
      std::vector<int> shared;
      for (const int leg : legs) {
        if (Contains(running, leg)) shared.push_back(leg);
      }
      if (!running.empty())
        rebuild_cost_ += Product(running, sizes_) * Product(Without(legs, shared), sizes_);
      running = Without(running, shared);
      const std::vector<int> added = Without(legs, shared);
      running.insert(running.end(), added.begin(), added.end());
    }
  }

  int64_t out_features() const override { return Product(out_legs_, sizes_); }
  int64_t in_features() const override { return Product(in_legs_, sizes_); }
  bool factorized() const override { return true; }

  std::string Describe() const override {
    std::set<std::string> formats;
    for (const Core& core : cores_) formats.insert(core.weight->format());
    std::string text = "network of " + std::to_string(cores_.size()) + " cores";
    for (const std::string& format : formats)
      text += (&format == &*formats.begin() ? ", " : " and ") + format;
    return text;
  }

  at::Tensor Rebuild() const override {
    std::vector<at::Tensor> tensors;
    for (const Core& core : cores_) tensors.push_back(core.weight->Dense());
    return RebuildFrom(tensors);
  }

  std::optional<NetworkParts> Network() const override {
    NetworkParts parts{{}, out_legs_, in_legs_};
    for (const Core& core : cores_) {
      NetworkTensor tensor;
      tensor.legs = core.adds;
      tensor.legs.insert(tensor.legs.end(), core.takes.begin(), core.takes.end());
      tensor.values = core.weight->Dense().reshape(Shape(tensor.legs));
      parts.cores.push_back(std::move(tensor));
    }
    return parts;
  }

  at::Tensor Rows(const at::Tensor& index) const override {
    return RowsFrom(index.cpu(), [&](size_t i, const at::Tensor& rows) {
      return rows.defined() ? cores_[i].weight->Rows(rows) : cores_[i].weight->Dense();
    });
  }

  at::Tensor RowsWith(const std::vector<at::Tensor>& tensors, const at::Tensor& index) const override {
    return RowsFrom(index, [&](size_t i, const at::Tensor& rows) {
      const at::Tensor core = MatrixOr(tensors[i], *cores_[i].weight, at::kFloat);
      return rows.defined() ? at::embedding(core, rows) : core;
    });
  }

  Cost CostOf(int64_t tokens, Execution execution) const override {
    Cost cost;
    cost.bytes_read = size().bytes;
    const int64_t contracted = tokens * contracted_cost_;
    const int64_t rebuilt = rebuild_cost_ + tokens * out_features() * in_features();
    if (execution == Execution::kAutomatic) execution = Choose(tokens);
    cost.multiply_adds = execution == Execution::kContracted ? contracted : rebuilt;
    return cost;
  }

  int64_t weight_count() const override { return static_cast<int64_t>(cores_.size()); }
  const WeightPtr& weight(int64_t index) const override {
    return cores_.at(static_cast<size_t>(index)).weight;
  }
  void ReplaceWeight(int64_t index, WeightPtr weight) override {
    cores_.at(static_cast<size_t>(index)).weight = std::move(weight);
  }

  at::Tensor ForwardWith(const std::vector<at::Tensor>& given, const at::Tensor& x) const override {
    std::vector<at::Tensor> matrices;
    for (size_t i = 0; i < given.size(); ++i)
      matrices.push_back(MatrixOr(given[i], *cores_[i].weight, x.scalar_type()));
    if (Choose(x.size(0)) == Execution::kRebuilt) return at::linear(x, RebuildFrom(matrices));
    return ContractWith(
        x, [&](size_t index, const at::Tensor& rows) { return at::linear(rows, matrices[index]); });
  }

 protected:
  at::Tensor Multiply(const at::Tensor& x, Execution execution) const override {
    if (execution == Execution::kAutomatic) execution = Choose(x.size(0));
    if (execution == Execution::kContracted) {
      const auto multiply = [&](size_t index, const at::Tensor& rows) {
        return cores_[index].weight->Matmul(rows);
      };
      // One token's intermediate results can be larger than x by a hundred times. Several tokens are
      // therefore spread over the threads, each of which takes so few at a time that they stay in its cache.
      return x.is_cpu() && x.size(0) > 1 ? ContractInPieces(x, multiply) : ContractWith(x, multiply);
    }
    const at::Tensor w = Rebuild().to(x.device());
    if (!x.is_cpu()) return at::linear(x, w);
    return TimesTransposed(x, w);
  }

  Json SaveStructure(const TensorSink& sink) const override {
    Json json{{"type", "network"}, {"out_legs", out_legs_}, {"in_legs", in_legs_}, {"cores", Json::array()}};
    for (const auto& [leg, size] : sizes_) json["sizes"].push_back({leg, size});
    for (size_t i = 0; i < cores_.size(); ++i) {
      const TensorSink core_sink = [&](const std::string& suffix, const at::Tensor& tensor) {
        sink(".core" + std::to_string(i) + suffix, tensor);
      };
      json["cores"].push_back({{"adds", cores_[i].adds},
                               {"takes", cores_[i].takes},
                               {"weight", SaveWeight(*cores_[i].weight, core_sink)}});
    }
    return json;
  }

 private:
  Execution Choose(int64_t tokens) const {
    return tokens * contracted_cost_ <= rebuild_cost_ + tokens * out_features() * in_features()
               ? Execution::kContracted
               : Execution::kRebuilt;
  }

  std::vector<int64_t> Shape(const std::vector<int>& legs) const {
    std::vector<int64_t> shape;
    for (const int leg : legs) shape.push_back(sizes_.at(leg));
    return shape;
  }

  template <typename Apply>
  at::Tensor ContractWith(const at::Tensor& x, const Apply& apply) const {
    const int64_t n = x.size(0);
    at::Tensor running = x;
    std::vector<int> legs = in_legs_;
    for (size_t i = 0; i < cores_.size(); ++i) {
      const Core& core = cores_[i];
      const std::vector<int> rest = Without(legs, core.takes);
      std::vector<int> order = rest;
      order.insert(order.end(), core.takes.begin(), core.takes.end());
      running = Permuted(running, n, legs, order).reshape({-1, Product(core.takes, sizes_)});
      running = apply(i, running);
      legs = rest;
      legs.insert(legs.end(), core.adds.begin(), core.adds.end());
    }
    return Permuted(running, n, legs, out_legs_).reshape({n, out_features()});
  }

  template <typename Apply>
  at::Tensor ContractInPieces(const at::Tensor& x, const Apply& apply) const {
    constexpr int64_t kCacheValues = 1 << 17;  // half a megabyte: about half a second-level cache
    const int64_t n = x.size(0), row = out_features();
    const int64_t piece = std::clamp<int64_t>(kCacheValues / widest_, 1, n);
    at::Tensor y = at::empty({n, row}, x.options());
    float* const out = y.mutable_data_ptr<float>();
    ParallelFor((n + piece - 1) / piece, 1, [&](int64_t begin, int64_t end) {
      const c10::InferenceMode mode;  // not inherited by other threads
      for (int64_t i = begin; i < end; ++i) {
        const at::Tensor part =
            ContractWith(x.slice(0, i * piece, std::min(n, (i + 1) * piece)), apply).contiguous();
        std::copy_n(part.const_data_ptr<float>(), part.numel(), out + i * piece * row);
      }
    });
    return y;
  }

  // The running tensor [n, from...] with its legs in the order `to`.
  at::Tensor Permuted(const at::Tensor& running, int64_t n, const std::vector<int>& from,
                      const std::vector<int>& to) const {
    if (from == to) return running;
    std::vector<int64_t> shape{n}, axes{0};
    for (const int64_t size : Shape(from)) shape.push_back(size);
    for (const int64_t axis : AxisOrder(from, to)) axes.push_back(axis + 1);
    return running.reshape(shape).permute(axes);
  }

  // Rows of W: of every core only the entries that belong to the digits of the row's number are taken, by
  // `take` (rows of core i, or all of it when undefined), and contracted row by row.
  template <typename Take>
  at::Tensor RowsFrom(const at::Tensor& index, const Take& take) const {
    const int64_t n = index.numel();
    std::map<int, at::Tensor> digits;  // of every out leg, [n]
    at::Tensor rest = index.reshape({-1});
    for (auto leg = out_legs_.rbegin(); leg != out_legs_.rend(); ++leg) {
      digits[*leg] = at::remainder(rest, sizes_.at(*leg));
      rest = at::div(rest, sizes_.at(*leg), "floor");
    }
    // One letter a leg; Z counts the rows.
    TORCH_CHECK(sizes_.size() < 52, "a network of more than 51 legs has no row look-up");
    std::map<int, char> letters;
    for (const auto& [leg, size] : sizes_) {
      const auto number = static_cast<int>(letters.size());
      letters[leg] = static_cast<char>(number < 26 ? 'a' + number : 'A' + number - 26);
    }
    const auto spell = [&](const std::vector<int>& legs, bool by_row) {
      std::string text = by_row ? "Z" : "";
      for (const int leg : legs) text += letters.at(leg);
      return text;
    };
    at::Tensor running;
    std::vector<int> legs;  // of `running`
    bool running_by_row = false;
    for (size_t i = 0; i < cores_.size(); ++i) {
      const Core& core = cores_[i];
      at::Tensor rows;
      std::vector<int> kept;
      int64_t count = 1;
      for (const int leg : core.adds) {
        const int64_t size = sizes_.at(leg);
        const bool outer = digits.count(leg) > 0;
        // The numbers of the wanted rows of the core's matrix, [n or 1, kept adds].
        if (!rows.defined()) rows = at::zeros({1, 1}, index.options());
        if (outer) {
          rows = rows * size + digits.at(leg).unsqueeze(1);
        } else {
          rows = (rows.unsqueeze(2) * size + at::arange(size, index.options())).reshape({rows.size(0), -1});
          kept.push_back(leg);
          count *= size;
        }
      }
      const bool by_row = kept.size() < core.adds.size();
      at::Tensor values = take(i, by_row ? rows.expand({n, count}).reshape({-1}) : at::Tensor());
      std::vector<int> of = kept;
      of.insert(of.end(), core.takes.begin(), core.takes.end());
      std::vector<int64_t> shape = Shape(of);
      if (by_row) shape.insert(shape.begin(), n);
      values = values.reshape(shape);
      if (i == 0) {
        running = values;
        legs = of;
      } else {
        std::vector<int> open = Without(legs, of);
        const std::vector<int> added = Without(of, legs);
        open.insert(open.end(), added.begin(), added.end());
        running = at::einsum(spell(legs, running_by_row) + "," + spell(of, by_row) + "->" +
                                 spell(open, running_by_row || by_row),
                             {running, values});
        legs = open;
      }
      running_by_row = running_by_row || by_row;
    }
    std::vector<int64_t> axes;
    for (const int64_t axis : AxisOrder(legs, in_legs_)) axes.push_back(axis + (running_by_row ? 1 : 0));
    if (running_by_row) axes.insert(axes.begin(), 0);
    const at::Tensor row = running.permute(axes).reshape({-1, in_features()});
    return running_by_row ? row : row.expand({n, in_features()}).contiguous();
  }

  at::Tensor RebuildFrom(const std::vector<at::Tensor>& tensors) const {
    NetworkTensor running;
    for (size_t i = 0; i < cores_.size(); ++i) {
      NetworkTensor core;
      core.legs = cores_[i].adds;
      core.legs.insert(core.legs.end(), cores_[i].takes.begin(), cores_[i].takes.end());
      core.values = tensors[i].reshape(Shape(core.legs));
      running = i == 0 ? core : Contract(running, core);
    }
    std::vector<int> order = out_legs_;
    order.insert(order.end(), in_legs_.begin(), in_legs_.end());
    return running.values.permute(AxisOrder(running.legs, order)).reshape({out_features(), in_features()});
  }

  std::vector<Core> cores_;  // in the order in which x absorbs them
  std::vector<int> out_legs_, in_legs_;
  Sizes sizes_;
  int64_t contracted_cost_ = 0;  // multiply-adds a token
  int64_t rebuild_cost_ = 0;     // multiply-adds of rebuilding W once
  int64_t widest_ = 1;           // values a token of the largest intermediate result
};

// Legs of a core split into what it adds and takes when it comes after the cores in `before`.
void SplitLegs(const std::vector<int>& legs, const std::set<int>& available, Core& core) {
  core.adds.clear();
  core.takes.clear();
  for (const int leg : legs) (available.count(leg) > 0 ? core.takes : core.adds).push_back(leg);
}

int64_t OrderCost(const std::vector<NetworkTensor>& cores, const std::vector<size_t>& order,
                  const std::vector<int>& in_legs, const Sizes& sizes) {
  std::vector<int> running = in_legs;
  int64_t cost = 0;
  for (const size_t index : order) {
    Core core;
    SplitLegs(cores[index].legs, std::set<int>(running.begin(), running.end()), core);
    running = Without(running, core.takes);
    cost += Product(running, sizes) * Product(core.takes, sizes) * Product(core.adds, sizes);
    running.insert(running.end(), core.adds.begin(), core.adds.end());
  }
  return cost;
}

std::vector<size_t> CheapestOrder(const std::vector<NetworkTensor>& cores, const std::vector<int>& in_legs,
                                  const Sizes& sizes) {
  std::vector<size_t> order(cores.size());
  std::iota(order.begin(), order.end(), 0);
  std::vector<size_t> best = order;
  int64_t best_cost = std::numeric_limits<int64_t>::max();
  const auto consider = [&](const std::vector<size_t>& candidate) {
    const int64_t cost = OrderCost(cores, candidate, in_legs, sizes);
    if (cost < best_cost) {
      best_cost = cost;
      best = candidate;
    }
  };
  if (cores.size() > 6) {
    consider(order);
    std::reverse(order.begin(), order.end());
    consider(order);
    return best;
  }
  do {
    consider(order);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

}  // namespace

std::unique_ptr<Linear> MakeNetworkLinear(const std::vector<NetworkTensor>& cores,
                                          const std::vector<int>& out_legs, const std::vector<int>& in_legs) {
  Sizes sizes;
  for (const NetworkTensor& core : cores) {
    for (size_t i = 0; i < core.legs.size(); ++i) {
      const auto [entry, fresh] = sizes.emplace(core.legs[i], core.values.size(static_cast<int64_t>(i)));
      if (!fresh && entry->second != core.values.size(static_cast<int64_t>(i))) {
        throw Error(ErrorKind::kInternal,
                    "two cores disagree about the size of leg " + std::to_string(core.legs[i]));
      }
    }
  }
  // Between two cores the legs that the second takes are moved to the end. Taking legs in the order in which
  // they run, and adding those last that the next core takes, leaves long contiguous pieces to be moved.
  const std::vector<size_t> order = CheapestOrder(cores, in_legs, sizes);
  std::vector<Core> ordered;
  std::vector<int> running = in_legs;
  for (size_t i = 0; i < order.size(); ++i) {
    const NetworkTensor& tensor = cores[order[i]];
    Core core;
    for (const int leg : running) {
      if (Contains(tensor.legs, leg)) core.takes.push_back(leg);
    }
    core.adds = Without(tensor.legs, core.takes);
    if (i + 1 < order.size()) {
      const std::vector<int>& next = cores[order[i + 1]].legs;
      std::stable_partition(core.adds.begin(), core.adds.end(),
                            [&](int leg) { return !Contains(next, leg); });
    }
    std::vector<int> axes = core.adds;
    axes.insert(axes.end(), core.takes.begin(), core.takes.end());
    const at::Tensor matrix = tensor.values.permute(AxisOrder(tensor.legs, axes))
                                  .reshape({Product(core.adds, sizes), Product(core.takes, sizes)});
    core.weight = MakeDenseWeight(matrix.contiguous());
    running = Without(running, core.takes);
    running.insert(running.end(), core.adds.begin(), core.adds.end());
    ordered.push_back(std::move(core));
  }
  return std::make_unique<NetworkLinear>(std::move(ordered), out_legs, in_legs, std::move(sizes));
}

std::unique_ptr<Linear> LoadNetworkLinear(const Json& json, const TensorSource& source,
                                          const std::string& where) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::kData, {"tensor network: " + what, "", "", where, "compress the model again"});
  };
  Sizes sizes;
  for (const auto& [leg, size] : Require<std::vector<std::pair<int, int64_t>>>(json, "sizes", where)) {
    if (size <= 0 || size > (int64_t{1} << 40)) fail("a leg has an impossible size");
    sizes[leg] = size;
  }
  const auto out_legs = Require<std::vector<int>>(json, "out_legs", where);
  const auto in_legs = Require<std::vector<int>>(json, "in_legs", where);
  for (const auto* legs : {&out_legs, &in_legs}) {
    for (const int leg : *legs) {
      if (sizes.count(leg) == 0) fail("an outer leg has no size");
    }
  }
  std::set<int> available(in_legs.begin(), in_legs.end());
  std::vector<Core> cores;
  for (const Json& entry : Require<Json>(json, "cores", where)) {
    Core core;
    core.adds = Require<std::vector<int>>(entry, "adds", where);
    core.takes = Require<std::vector<int>>(entry, "takes", where);
    for (const int leg : core.takes) {
      if (available.erase(leg) == 0) fail("a core takes a leg that is not there");
    }
    for (const int leg : core.adds) {
      if (sizes.count(leg) == 0 || !available.insert(leg).second)
        fail("a core adds a leg twice or without a size");
    }
    const std::string prefix = ".core" + std::to_string(cores.size());
    core.weight = LoadWeight(
        Require<Json>(entry, "weight", where),
        [&](const std::string& suffix) { return source(prefix + suffix); }, where + prefix);
    if (core.weight->rows() != Product(core.adds, sizes) ||
        core.weight->cols() != Product(core.takes, sizes)) {
      fail("a core has another shape than its legs");
    }
    cores.push_back(std::move(core));
  }
  if (available != std::set<int>(out_legs.begin(), out_legs.end()))
    fail("the open legs are not those of the output");
  return std::make_unique<NetworkLinear>(std::move(cores), out_legs, in_legs, std::move(sizes));
}

}  // namespace tnb
