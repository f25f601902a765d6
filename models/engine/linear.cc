#include "models/engine/linear.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "models/engine/linear_parts.h"

namespace tnb {

std::string ToString(Execution execution) {
  switch (execution) {
    case Execution::kAutomatic:
      return "automatic";
    case Execution::kContracted:
      return "contracted";
    case Execution::kRebuilt:
      return "rebuilt";
  }
  return "";
}

at::Tensor Linear::Forward(const at::Tensor& x, Execution execution) const {
  at::Tensor y = Multiply(x, execution);
  if (bias_.defined()) y.add_(bias_.to(y.device()));
  return y;
}

std::vector<at::Tensor> ForwardAll(const std::vector<const Linear*>& linears, const at::Tensor& x,
                                   Execution execution) {
  std::vector<at::Tensor> results;
  // A linear that is not factorized is its only weight.
  const auto factorized = [](const Linear* linear) { return linear->factorized(); };
  if (std::any_of(linears.begin(), linears.end(), factorized)) {
    for (const Linear* linear : linears) results.push_back(linear->Forward(x, execution));
    return results;
  }
  std::vector<const Weight*> weights;
  for (const Linear* linear : linears) weights.push_back(linear->weight(0).get());
  results = MatmulAll(weights, x);
  for (size_t i = 0; i < linears.size(); ++i) {
    if (linears[i]->bias().defined()) results[i].add_(linears[i]->bias().to(results[i].device()));
  }
  return results;
}

bool Linear::adapted() const {
  for (int64_t i = 0; i < weight_count(); ++i) {
    if (adapter(i)) return true;
  }
  return false;
}

WeightSize Linear::size() const {
  WeightSize total = own_size();
  for (int64_t i = 0; i < weight_count(); ++i) total += weight(i)->size();
  if (bias_.defined()) total += {bias_.numel(), 0, bias_.numel() * 4};
  return total;
}

Json Linear::Save(const TensorSink& sink) const {
  Json json = SaveStructure(sink);
  json["bias"] = bias_.defined();
  if (bias_.defined()) sink(".bias", bias_);
  return json;
}

Json SaveWeight(const Weight& weight, const TensorSink& sink) {
  Json json = weight.Save(sink);
  json["rows"] = weight.rows();
  json["cols"] = weight.cols();
  return json;
}

namespace {

class DenseLinear : public Linear {
 public:
  explicit DenseLinear(WeightPtr weight) : weight_(std::move(weight)) {}

  int64_t out_features() const override { return weight_->rows(); }
  int64_t in_features() const override { return weight_->cols(); }
  std::string Describe() const override { return "dense " + weight_->format(); }
  at::Tensor Rebuild() const override { return weight_->Dense(); }
  at::Tensor Rows(const at::Tensor& index) const override { return weight_->Rows(index); }
  Cost CostOf(int64_t tokens, Execution) const override {
    return {tokens * out_features() * in_features(), weight_->size().bytes};
  }
  int64_t weight_count() const override { return 1; }
  const WeightPtr& weight(int64_t) const override { return weight_; }
  void ReplaceWeight(int64_t, WeightPtr weight) override { weight_ = std::move(weight); }
  at::Tensor ForwardWith(const std::vector<at::Tensor>& matrices, const at::Tensor& x) const override {
    return matrices[0].defined() ? at::linear(x, matrices[0]) : TimesStored(x, weight_);
  }
  at::Tensor RowsWith(const std::vector<at::Tensor>& tensors, const at::Tensor& index) const override {
    return tensors[0].defined() ? at::embedding(tensors[0], index) : weight_->Rows(index);
  }

 protected:
  at::Tensor Multiply(const at::Tensor& x, Execution) const override { return weight_->Matmul(x); }
  Json SaveStructure(const TensorSink& sink) const override {
    return {{"type", "dense"}, {"weight", SaveWeight(*weight_, sink)}};
  }

 private:
  WeightPtr weight_;
};

}  // namespace

std::unique_ptr<Linear> MakeDenseLinear(WeightPtr weight) {
  return std::make_unique<DenseLinear>(std::move(weight));
}

// In network.cc, sum.cc and permuted.cc.
std::unique_ptr<Linear> LoadNetworkLinear(const Json& json, const TensorSource& source,
                                          const std::string& where);
std::unique_ptr<Linear> LoadPermutedLinear(const Json& json, const TensorSource& source,
                                           const std::string& where);
std::unique_ptr<Linear> LoadSumLinear(const Json& json, const TensorSource& source, const std::string& where);

std::unique_ptr<Linear> LoadLinear(const Json& json, const TensorSource& source, const std::string& where) {
  const auto type = Require<std::string>(json, "type", where);
  std::unique_ptr<Linear> linear;
  if (type == "dense") {
    linear = MakeDenseLinear(LoadWeight(Require<Json>(json, "weight", where), source, where));
  } else if (type == "network") {
    linear = LoadNetworkLinear(json, source, where);
  } else if (type == "sum") {
    linear = LoadSumLinear(json, source, where);
  } else if (type == "permuted") {
    linear = LoadPermutedLinear(json, source, where);
  } else {
    throw Error(ErrorKind::kData, {"unknown kind of linear", "dense, network, sum or permuted", type, where,
                                   "the artefact comes from another version; compress the model again"});
  }
  if (Require<bool>(json, "bias", where)) {
    const at::Tensor bias = source(".bias");
    if (bias.scalar_type() != at::kFloat || bias.dim() != 1 || bias.size(0) != linear->out_features()) {
      throw Error(ErrorKind::kData, {"a bias has the wrong shape or type",
                                     std::to_string(linear->out_features()) + " fp32 values",
                                     std::to_string(bias.numel()), where, ""});
    }
    linear->set_bias(bias);
  }
  return linear;
}

}  // namespace tnb
