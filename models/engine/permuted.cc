// A linear between two permutations: W[rows[i], columns[j]] = inner[i, j]. An index takes two bytes in the
// artefact.
#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "models/engine/linear.h"
#include "models/engine/linear_parts.h"

namespace tnb {
namespace {

constexpr int64_t kMostIndices = 1 << 16;

// The permutation that undoes this one.
at::Tensor Inverse(const at::Tensor& order) {
  return at::empty_like(order).index_copy_(0, order, at::arange(order.size(0), at::kLong));
}

class PermutedLinear : public Linear {
 public:
  PermutedLinear(std::unique_ptr<Linear> inner, at::Tensor rows, at::Tensor columns)
      : inner_(std::move(inner)),
        rows_(std::move(rows)),
        columns_(std::move(columns)),
        row_places_(Inverse(rows_)),
        column_places_(Inverse(columns_)) {}

  int64_t out_features() const override { return inner_->out_features(); }
  int64_t in_features() const override { return inner_->in_features(); }
  bool factorized() const override { return inner_->factorized(); }
  std::string Describe() const override { return inner_->Describe() + ", permuted"; }

  at::Tensor Rebuild() const override {
    return inner_->Rebuild().index_select(0, row_places_).index_select(1, column_places_);
  }
  at::Tensor Rows(const at::Tensor& index) const override {
    return inner_->Rows(row_places_.index_select(0, index.cpu())).index_select(1, column_places_);
  }
  Cost CostOf(int64_t tokens, Execution execution) const override {
    Cost cost = inner_->CostOf(tokens, execution);
    cost.bytes_read += own_size().bytes;
    return cost;
  }

  int64_t weight_count() const override { return inner_->weight_count(); }
  const WeightPtr& weight(int64_t index) const override { return inner_->weight(index); }
  void ReplaceWeight(int64_t index, WeightPtr weight) override {
    inner_->ReplaceWeight(index, std::move(weight));
  }
  bool adapter(int64_t index) const override { return inner_->adapter(index); }
  WeightSize own_size() const override {
    const int64_t count = rows_.size(0) + columns_.size(0);
    return {.parameters = 0, .code_bits = 16 * count, .bytes = 2 * count};
  }

  at::Tensor ForwardWith(const std::vector<at::Tensor>& matrices, const at::Tensor& x) const override {
    return inner_->ForwardWith(matrices, x.index_select(1, columns_.to(x.device())))
        .index_select(1, row_places_.to(x.device()));
  }
  at::Tensor RowsWith(const std::vector<at::Tensor>& matrices, const at::Tensor& index) const override {
    return inner_->RowsWith(matrices, row_places_.index_select(0, index)).index_select(1, column_places_);
  }

 protected:
  at::Tensor Multiply(const at::Tensor& x, Execution execution) const override {
    return inner_->Forward(x.index_select(1, columns_.to(x.device())), execution)
        .index_select(1, row_places_.to(x.device()));
  }
  Json SaveStructure(const TensorSink& sink) const override {
    const auto pack = [](const at::Tensor& order) {
      return at::stack({order.bitwise_and(255), order.bitwise_right_shift(8)}, 1).to(at::kByte).contiguous();
    };
    sink(".rows", pack(rows_));
    sink(".columns", pack(columns_));
    return {{"type", "permuted"},
            {"inner", inner_->Save([&](const std::string& suffix, const at::Tensor& tensor) {
               sink(".inner" + suffix, tensor);
             })}};
  }

 private:
  std::unique_ptr<Linear> inner_;
  at::Tensor rows_, columns_;              // int64
  at::Tensor row_places_, column_places_;  // their inverses
};

}  // namespace

std::unique_ptr<Linear> MakePermutedLinear(std::unique_ptr<Linear> inner, const at::Tensor& rows,
                                           const at::Tensor& columns) {
  if (rows.size(0) != inner->out_features() || columns.size(0) != inner->in_features() ||
      inner->bias().defined()) {
    throw Error(ErrorKind::kInternal, "a permuted linear has one index a row and column, and no bias");
  }
  for (const at::Tensor& order : {rows, columns}) {
    if (order.size(0) > kMostIndices) {
      throw Error(ErrorKind::kUnsupported, {"too many rows or columns to permute", "at most 65536",
                                            std::to_string(order.size(0)), "", "permute=none"});
    }
  }
  return std::make_unique<PermutedLinear>(std::move(inner), rows, columns);
}

std::unique_ptr<Linear> LoadPermutedLinear(const Json& json, const TensorSource& source,
                                           const std::string& where) {
  std::unique_ptr<Linear> inner = LoadLinear(
      Require<Json>(json, "inner", where),
      [&](const std::string& suffix) { return source(".inner" + suffix); }, where);
  const auto unpack = [&](const std::string& name, int64_t count) {
    const at::Tensor stored = source(name);
    const auto fail = [&] {
      throw Error(ErrorKind::kData,
                  {"a stored permutation is damaged", std::to_string(count) + " indices, each once", "",
                   where + name, "compress the model again"});
    };
    if (stored.scalar_type() != at::kByte || stored.dim() != 2 || stored.size(0) != count ||
        stored.size(1) != 2)
      fail();
    const at::Tensor order =
        stored.select(1, 0).to(at::kLong) + stored.select(1, 1).to(at::kLong).bitwise_left_shift(8);
    if (!at::equal(std::get<0>(order.sort()), at::arange(count, at::kLong))) fail();
    return order;
  };
  if (inner->bias().defined()) {
    throw Error(ErrorKind::kData,
                {"a permuted linear has a bias inside", "", "", where, "compress the model again"});
  }
  const at::Tensor rows = unpack(".rows", inner->out_features());
  const at::Tensor columns = unpack(".columns", inner->in_features());
  return MakePermutedLinear(std::move(inner), rows, columns);
}

}  // namespace tnb
