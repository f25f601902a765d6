// Statistics of what flows through the linears of a model over a calibration text: what activation-aware
// methods (SVD-LLM, ASVD, GPTQ, AWQ, Wanda, two-sided whitening) know of a model besides its weights.
//
// With x_t the input and y_t = W x_t the output of a linear at token t, and g_t = d loss / d y_t:
//   inputs            H = mean_t x_t x_tᵀ [in, in],  a = mean_t |x_t| [in],  max_t |x_t| [in]
//   output gradients  G = mean_t g_t g_tᵀ [out, out]
//   joint             what comes near the Fisher information E[x xᵀ ⊗ g gᵀ] itself, without taking x and g as
//                     independent: H' = E[|g_t|^2 x_t x_tᵀ] / s, G' = E[|x_t|^2 g_t g_tᵀ] / s, s^2 =
//                     E[|g_t|^2 |x_t|^2]: one step of the power iteration for the nearest Kronecker product
//                     (Van Loan and Pitsianis 1993) from the identity
//   weight gradients  f_j = mean over windows of sum_i (d loss / d W_ij)^2 [in]  (FWSVD, arXiv 2207.00112)
//   keys and values   not moments, but keys (after rotation) and values themselves, of kSampledTokens tokens
//                     at equal distances [tokens, kv heads, head size]
//   influence         of a block, 1 - mean_t cos(its input, its output), the residual stream (ShortGPT, arXiv
//                     2403.03853)
// The loss of a window is the sum of -log p(label) over its tokens. Labels are drawn from the model's own
// distribution, which makes G the output factor of the Fisher information as K-FAC estimates it (Martens and
// Grosse, arXiv 1503.05671), or are the text's next tokens (the empirical Fisher information; the last token
// of a window has no label then).
//
// Accuracy: products and sums over at most 2048 tokens in fp32, sums over these in fp64, results rounded to
// fp32: a relative error of about 1e-6 of sqrt(H_ii H_jj) an element (the test compares with fp64).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/engine/differentiable.h"
#include "models/engine/model.h"

namespace tnb {

enum class Moments { kInputs, kOutputGradients, kWeightGradients, kKeysValues, kInfluence, kJoint };
// "inputs" "output-gradients" "weight-gradients" "keys-values" "influence" "joint"
std::string ToString(Moments moments);

inline constexpr int64_t kSampledTokens = 2048;

// What a method asks for.
struct StatisticsRequest {
  Moments moments = Moments::kInputs;
  std::string data;  // name of the calibration text
  int64_t windows = 96, length = 512;
  bool model_labels = true;  // gradients only: labels drawn from the model, else the text's next tokens
  bool down = false;         // also of the down projections, whose inputs are the widest
};

// Results, by linear. Immutable.
class Statistics {
 public:
  virtual ~Statistics() = default;
  // fp32; Error{kData} when absent, of another shape than the linear asks for, or not finite.
  at::Tensor InputCovariance(const LinearSlot& slot) const;
  at::Tensor FindInputCovariance(const LinearSlot& slot) const;  // undefined when absent
  at::Tensor MeanAbsoluteInput(const LinearSlot& slot) const;
  at::Tensor LargestInput(const LinearSlot& slot) const;
  at::Tensor OutputCovariance(const LinearSlot& slot) const;
  at::Tensor WeightGradients(const LinearSlot& slot) const;
  at::Tensor JointInput(const LinearSlot& slot) const;     // H'
  at::Tensor JointGradient(const LinearSlot& slot) const;  // G'
  // [tokens, kv heads, head size] of a block.
  at::Tensor Keys(int64_t block, const ModelConfig& config) const;
  at::Tensor Values(int64_t block, const ModelConfig& config) const;
  at::Tensor Influence() const;  // [blocks]
  // What they are of, for the record: text and its hash, tokens, model.
  virtual Json About() const { return Json::object(); }

 protected:
  // An undefined tensor when there is none of this name.
  virtual at::Tensor Read(const std::string& name) const = 0;

 private:
  at::Tensor Checked(const std::string& name, const std::vector<int64_t>& shape) const;
  at::Tensor Sample(const std::string& name, const ModelConfig& config) const;
};

// In memory, by name.
class MemoryStatistics : public Statistics {
 public:
  explicit MemoryStatistics(std::map<std::string, at::Tensor> values) : values_(std::move(values)) {}

 protected:
  at::Tensor Read(const std::string& name) const override;

 private:
  std::map<std::string, at::Tensor> values_;
};

// A safetensors file whose metadata "tnbench_statistics" says of what (StatisticsWriter wrote it).
// Error{kData} when it is damaged or of something else than `key`.
std::unique_ptr<Statistics> OpenStatistics(const std::string& path, const Json& key);

// A block whose linears were changed, and what it put out before.
struct ChangedBlock {
  std::vector<LinearSlot*> slots;  // q k v o gate up down
  at::Tensor hidden;               // fp32 [tokens, hidden size]: what goes into it
  at::Tensor targets;              // what came out of it before it was changed
  int64_t batch = 1;               // tokens to compute together, whole windows
  // What it makes of tokens [begin, begin + count), as a differentiable function of what `multiply` computes.
  std::function<at::Tensor(int64_t begin, int64_t count, const DifferentiableDecoder::Multiply& multiply)>
      forward;
};

// Walks through a model in the order of its computation. For every block: `prepare` may change each linear as
// it is read, then the statistics of the inputs are taken with the linears as they are, and `change` may
// change each with them; the next block gets what the changed one puts out.
struct Walk {
  std::function<void(LinearSlot& slot)> prepare;
  std::function<void(LinearSlot& slot, const Statistics& inputs)> change;
  // May be empty. Called after the last change of a block, before anything is computed with it; may change
  // its linears once more.
  std::function<void(const ChangedBlock& block, const Statistics& inputs)> finish = {};
  int64_t blocks = -1;  // so many from the first on; -1: all
};

// Where statistics come from; computed on the first call, then kept. Error{kIo, kData} when the text is
// missing or too short, Error{kUnsupported} when the model has no tokenizer.
class StatisticsService {
 public:
  virtual ~StatisticsService() = default;
  virtual std::shared_ptr<const Statistics> Get(const StatisticsRequest& request) = 0;
  // Moments::kInputs only; nothing is kept. What the walk went over, for the record, as Statistics::About.
  // Error{kUnsupported} where it is not offered.
  virtual Json Visit(const StatisticsRequest& request, const Walk& walk);
  // A file that a method named besides its texts.
  virtual std::string FileContents(const std::string& name) = 0;
};

// How linears share statistics: q, k and v have the same input, and so have gate and up.
std::string InputName(
    const LinearSlot& slot);  // "blocks.3.qkv" "blocks.3.o" "blocks.3.gate_up" "blocks.3.down"

// What a model is read from, part by part.
struct ModelParts {
  ModelConfig config;
  NormReader norm;
  LinearReader linear;
};

using StatisticsSink = std::function<void(const std::string& name, const at::Tensor& values)>;
using StatisticsProgress = std::function<void(int64_t done, int64_t total)>;

// Computes what `request` asks for over windows of equal length and hands it out block by block (names as
// Statistics reads them). Deterministic for a number of threads; labels are drawn with a fixed seed. One
// block at a time is in memory, besides the hidden states of all tokens: windows * length * hidden size fp32
// values, for gradients times (blocks + 1), because the backward pass starts from them. Gradients take about
// four times the forward pass. Progress counts blocks.
void CollectStatistics(const ModelParts& parts, const std::vector<TokenIds>& windows,
                       const StatisticsRequest& request, const StatisticsSink& sink,
                       const StatisticsProgress& progress);

// Walk over `windows`, with two passes a block: one for the statistics, one for what it puts out. Progress
// counts linears.
void WalkBlocks(const ModelParts& parts, const std::vector<TokenIds>& windows,
                const StatisticsRequest& request, const Walk& walk, const StatisticsProgress& progress);

// Writes results to `path` as they come; the file appears under its name with Finish.
class StatisticsWriter {
 public:
  StatisticsWriter(const std::string& path, const Json& key, int64_t blocks);
  ~StatisticsWriter();
  void Add(const std::string& name, const at::Tensor& values);
  void Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tnb
