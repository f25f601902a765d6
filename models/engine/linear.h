// Linear is an operator y = x · Wᵀ (+ bias) over one or more weights: dense, or a tensor network. Its
// structure is fixed; the storage of each weight can be replaced (that is how "mpo+int8" composes).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/engine/weight.h"

namespace tnb {

struct Cost {
  int64_t multiply_adds = 0;
  int64_t bytes_read = 0;  // stored bytes of the weights used, once
};

// How a factorized linear computes: piece by piece, or W rebuilt and then multiplied. Automatic takes what
// needs less time by the cost model for the number of tokens at hand.
enum class Execution { kAutomatic, kContracted, kRebuilt };
std::string ToString(Execution execution);

// One tensor of a network: fp32, each axis named by a leg.
struct NetworkTensor {
  at::Tensor values;
  std::vector<int> legs;
};

// A network taken apart again.
struct NetworkParts {
  std::vector<NetworkTensor> cores;
  std::vector<int> out_legs, in_legs;
};

class Linear {
 public:
  virtual ~Linear() = default;

  virtual int64_t out_features() const = 0;
  virtual int64_t in_features() const = 0;
  // "dense fp32", "network 2 cores, int8"
  virtual std::string Describe() const = 0;

  // x [n, in] fp32 -> [n, out]; adds the bias when there is one.
  at::Tensor Forward(const at::Tensor& x, Execution execution = Execution::kAutomatic) const;
  // fp32 [out, in] without the bias.
  virtual at::Tensor Rebuild() const = 0;
  // Rows `index` (int64 [n]) of W as fp32 [n, in]: an embedding look-up.
  virtual at::Tensor Rows(const at::Tensor& index) const = 0;
  virtual bool factorized() const { return false; }
  // The cores, fp32 copies; nothing for a linear that is not one network.
  virtual std::optional<NetworkParts> Network() const { return std::nullopt; }
  // Cost of one Forward of `tokens` rows.
  virtual Cost CostOf(int64_t tokens, Execution execution) const = 0;

  // The leaves, in a fixed order, and replacing one by another of the same shape.
  virtual int64_t weight_count() const = 0;
  virtual const WeightPtr& weight(int64_t index) const = 0;
  virtual void ReplaceWeight(int64_t index, WeightPtr weight) = 0;

  // Whether this weight belongs to an adapter: a part of a sum that trains while the others stay as they are
  // (LoRA, arXiv 2106.09685).
  virtual bool adapter(int64_t) const { return false; }
  bool adapted() const;  // some weight does

  // What the structure itself stores besides weights and bias: indices.
  virtual WeightSize own_size() const { return {}; }
  // Sum over the weights, the structure and the bias (fp32).
  WeightSize size() const;
  const at::Tensor& bias() const { return bias_; }
  void set_bias(at::Tensor bias) { bias_ = std::move(bias); }

  // Differentiable forms for training, without the bias: over one matrix a weight (Weight::DenseOf), all of
  // one dtype, which is that of x. A matrix that is undefined stands for the weight as it is stored: it is
  // expanded where it is needed, on the way forward and back, and a dense linear keeps nothing of it between.
  virtual at::Tensor ForwardWith(const std::vector<at::Tensor>& matrices, const at::Tensor& x) const = 0;
  virtual at::Tensor RowsWith(const std::vector<at::Tensor>& matrices, const at::Tensor& index) const = 0;

  Json Save(const TensorSink& sink) const;

 protected:
  virtual at::Tensor Multiply(const at::Tensor& x, Execution execution) const = 0;
  virtual Json SaveStructure(const TensorSink& sink) const = 0;

 private:
  at::Tensor bias_;
};

// Forward of several linears over the same x: one pass over x and one piece of parallel work when they are
// dense and their formats agree.
std::vector<at::Tensor> ForwardAll(const std::vector<const Linear*>& linears, const at::Tensor& x,
                                   Execution execution = Execution::kAutomatic);

std::unique_ptr<Linear> MakeDenseLinear(WeightPtr weight);
std::unique_ptr<Linear> LoadLinear(const Json& json, const TensorSource& source, const std::string& where);

// W[rows[i], columns[j]] = inner[i, j], int64 permutations of at most 65536 indices; `inner` has no bias. An
// index is stored in two bytes.
std::unique_ptr<Linear> MakePermutedLinear(std::unique_ptr<Linear> inner, const at::Tensor& rows,
                                           const at::Tensor& columns);

// y = x (A + B + ..)ᵀ: linears of one shape without bias, of which the last `adapters` are adapters.
std::unique_ptr<Linear> MakeSumLinear(std::vector<std::unique_ptr<Linear>> parts, int64_t adapters = 0);

// Contracts two tensors over all legs they share (an outer product when there is none); the legs of `a` that
// remain come first.
NetworkTensor Contract(const NetworkTensor& a, const NetworkTensor& b);

// A tensor network W[out legs, in legs] = contraction over all shared legs. Serves MPO, low rank (a chain of
// two), Tucker, PEPS and Kronecker sums: x absorbs one core after the other, each step one matrix
// multiplication. The order of the cores is the cheapest found (all orders up to 6 cores, both directions
// beyond). `out_legs` and `in_legs` list the outer legs most significant first; their sizes multiply to out
// and in.
std::unique_ptr<Linear> MakeNetworkLinear(const std::vector<NetworkTensor>& cores,
                                          const std::vector<int>& out_legs, const std::vector<int>& in_legs);

}  // namespace tnb
