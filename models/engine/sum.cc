// The sum of several linears of one shape, y = x (A + B)ᵀ: a network and a sparse matrix beside it, or any
// linear and an adapter of low rank.
#include <ATen/ATen.h>

#include "base/error.h"
#include "models/engine/linear.h"
#include "models/engine/linear_parts.h"

namespace tnb {
namespace {

class SumLinear : public Linear {
 public:
  SumLinear(std::vector<std::unique_ptr<Linear>> parts, int64_t adapters)
      : parts_(std::move(parts)), adapters_(adapters) {}

  int64_t out_features() const override { return parts_[0]->out_features(); }
  int64_t in_features() const override { return parts_[0]->in_features(); }
  bool factorized() const override { return true; }
  std::string Describe() const override {
    std::string text;
    for (const auto& part : parts_) text += (text.empty() ? "" : " + ") + part->Describe();
    return text;
  }

  at::Tensor Rebuild() const override {
    return Summed([](const Linear& part) { return part.Rebuild(); });
  }
  at::Tensor Rows(const at::Tensor& index) const override {
    return Summed([&](const Linear& part) { return part.Rows(index); });
  }
  Cost CostOf(int64_t tokens, Execution execution) const override {
    Cost total;
    for (const auto& part : parts_) {
      const Cost cost = part->CostOf(tokens, execution);
      total.multiply_adds += cost.multiply_adds;
      total.bytes_read += cost.bytes_read;
    }
    return total;
  }

  WeightSize own_size() const override {
    WeightSize total;
    for (const auto& part : parts_) total += part->own_size();
    return total;
  }

  int64_t weight_count() const override {
    int64_t count = 0;
    for (const auto& part : parts_) count += part->weight_count();
    return count;
  }
  const WeightPtr& weight(int64_t index) const override {
    const auto [part, inner] = Find(index);
    return parts_[part]->weight(inner);
  }
  bool adapter(int64_t index) const override {
    const auto [part, inner] = Find(index);
    return part + static_cast<size_t>(adapters_) >= parts_.size() || parts_[part]->adapter(inner);
  }
  void ReplaceWeight(int64_t index, WeightPtr weight) override {
    const auto [part, inner] = Find(index);
    parts_[part]->ReplaceWeight(inner, std::move(weight));
  }

  at::Tensor ForwardWith(const std::vector<at::Tensor>& matrices, const at::Tensor& x) const override {
    return SummedWith(matrices, [&](const Linear& part, const std::vector<at::Tensor>& own) {
      return part.ForwardWith(own, x);
    });
  }
  at::Tensor RowsWith(const std::vector<at::Tensor>& matrices, const at::Tensor& index) const override {
    return SummedWith(matrices, [&](const Linear& part, const std::vector<at::Tensor>& own) {
      return part.RowsWith(own, index);
    });
  }

 protected:
  at::Tensor Multiply(const at::Tensor& x, Execution execution) const override {
    return Summed([&](const Linear& part) { return part.Forward(x, execution); });
  }
  Json SaveStructure(const TensorSink& sink) const override {
    Json json{{"type", "sum"}, {"parts", Json::array()}};
    if (adapters_ > 0) json["adapters"] = adapters_;
    for (size_t i = 0; i < parts_.size(); ++i) {
      json["parts"].push_back(parts_[i]->Save([&](const std::string& suffix, const at::Tensor& tensor) {
        sink(".part" + std::to_string(i) + suffix, tensor);
      }));
    }
    return json;
  }

 private:
  // The part that holds a weight, and the weight's number there.
  std::pair<size_t, int64_t> Find(int64_t index) const {
    for (size_t i = 0; i < parts_.size(); ++i) {
      const int64_t count = parts_[i]->weight_count();
      if (index < count) return {i, index};
      index -= count;
    }
    throw Error(ErrorKind::kInternal, "a sum of linears has no weight of this number");
  }

  template <typename Get>
  at::Tensor Summed(const Get& get) const {
    at::Tensor sum = get(*parts_[0]);
    for (size_t i = 1; i < parts_.size(); ++i) sum = sum + get(*parts_[i]);
    return sum;
  }

  template <typename Get>
  at::Tensor SummedWith(const std::vector<at::Tensor>& matrices, const Get& get) const {
    size_t begin = 0;
    return Summed([&](const Linear& part) {
      const auto first = matrices.begin() + static_cast<std::ptrdiff_t>(begin);
      begin += static_cast<size_t>(part.weight_count());
      return get(part, std::vector<at::Tensor>(first, first + part.weight_count()));
    });
  }

  std::vector<std::unique_ptr<Linear>> parts_;
  int64_t adapters_;  // the last ones
};

}  // namespace

std::unique_ptr<Linear> MakeSumLinear(std::vector<std::unique_ptr<Linear>> parts, int64_t adapters) {
  if (parts.empty()) throw Error(ErrorKind::kInternal, "a sum of no linears");
  if (adapters < 0 || adapters >= static_cast<int64_t>(parts.size()))
    throw Error(ErrorKind::kInternal, "a sum has one part at least that is no adapter");
  for (const auto& part : parts) {
    if (part->out_features() != parts[0]->out_features() || part->in_features() != parts[0]->in_features() ||
        part->bias().defined()) {
      throw Error(ErrorKind::kInternal, "parts of a sum have one shape and no bias");
    }
  }
  return std::make_unique<SumLinear>(std::move(parts), adapters);
}

std::unique_ptr<Linear> LoadSumLinear(const Json& json, const TensorSource& source,
                                      const std::string& where) {
  std::vector<std::unique_ptr<Linear>> parts;
  for (const Json& part : Require<Json>(json, "parts", where)) {
    const std::string prefix = ".part" + std::to_string(parts.size());
    parts.push_back(LoadLinear(
        part, [&](const std::string& suffix) { return source(prefix + suffix); }, where + prefix));
    if (parts.back()->out_features() != parts[0]->out_features() ||
        parts.back()->in_features() != parts[0]->in_features() || parts.back()->bias().defined()) {
      throw Error(ErrorKind::kData, {"parts of a sum have different shapes or a bias", "", "", where,
                                     "compress the model again"});
    }
  }
  if (parts.empty()) {
    throw Error(ErrorKind::kData, {"a sum has no parts", "", "", where, "compress the model again"});
  }
  const auto adapters = Optional<int64_t>(json, "adapters", 0, where);
  if (adapters < 0 || adapters >= static_cast<int64_t>(parts.size())) {
    throw Error(ErrorKind::kData,
                {"a sum has an impossible number of adapters", "0 to " + std::to_string(parts.size() - 1),
                 std::to_string(adapters), where, "compress the model again"});
  }
  return MakeSumLinear(std::move(parts), adapters);
}

}  // namespace tnb
