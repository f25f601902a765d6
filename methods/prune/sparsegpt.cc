#include "methods/prune/sparsegpt.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "methods/calibrated.h"
#include "methods/prune/mask.h"
#include "methods/prune/prune.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

// One row of a block of `count` columns, from the left to the right. w, kept and error are the row's. For an
// n:m pattern the mask of a group is chosen when its first column is reached.
void PruneRow(const PrunePattern& pattern, const float* u, int64_t u_stride, int64_t count, float* w,
              bool* kept, float* error) {
  for (int64_t j = 0; j < count; ++j) {
    if (pattern.structured() && j % pattern.of == 0) {
      std::vector<std::pair<float, int64_t>> scores;
      for (int64_t k = j; k < j + pattern.of; ++k) {
        const float scaled = w[k] / u[k * u_stride + k];
        scores.emplace_back(scaled * scaled, k);
      }
      std::sort(scores.begin(), scores.end());
      for (int64_t k = 0; k < pattern.of; ++k) {
        kept[scores[static_cast<size_t>(k)].second] = k >= pattern.of - pattern.keep;
      }
    }
    const float q = kept[j] ? w[j] : 0.0F;
    error[j] = (w[j] - q) / u[j * u_stride + j];
    w[j] = q;
    if (error[j] == 0) continue;
    for (int64_t k = j + 1; k < count; ++k) w[k] -= error[j] * u[j * u_stride + k];
  }
}

class SparseGptStage : public FedStage {
 public:
  explicit SparseGptStage(const StageValues& values)
      : FedStage(values), pattern_(PatternFrom(values)), ridge_(values.Real("ridge")) {}

 protected:
  LinearReport Change(LinearSlot& slot, const Statistics& inputs) const override {
    CheckOneMatrix(slot, "sparsegpt");
    const WeightPtr weight = slot.linear->weight(0);
    if (weight->coded()) {
      throw Error(ErrorKind::kUnsupported,
                  {"sparsegpt changes the values that it keeps", "floating-point weights", weight->format(),
                   "", "put it before the quantizing stage"});
    }
    const at::Tensor covariance = inputs.InputCovariance(slot);
    const PrunedMatrix pruned = SparseGpt(weight->Dense(), covariance, pattern_, ridge_);
    // The weight's own element format again; one that is sparse already is taken as fp32.
    at::Tensor values = pruned.w;
    if (weight->panels() != nullptr && weight->panels()->type == PanelType::kF16)
      values = values.to(at::kHalf);
    if (weight->panels() != nullptr && weight->panels()->type == PanelType::kBF16) {
      values = values.to(at::kBFloat16);
    }
    const at::Tensor before = weight->Kept();
    slot.linear->ReplaceWeight(
        0, MakeSparseWeight(before.defined() ? pruned.kept.logical_and(before) : pruned.kept, values));
    return {};
  }

 private:
  PrunePattern pattern_;
  double ridge_;
};

}  // namespace

PrunedMatrix SparseGpt(const at::Tensor& matrix, const at::Tensor& covariance, const PrunePattern& pattern,
                       double ridge, int64_t block_size) {
  const int64_t rows = matrix.size(0), cols = matrix.size(1);
  CheckPattern(pattern, cols);
  at::Tensor h = covariance.to(at::kDouble).clone();
  const at::Tensor dead = h.diagonal().eq(0);
  h.diagonal().masked_fill_(dead, 1);
  const at::Tensor u = InverseFactor(h, ridge);
  at::Tensor w = matrix.to(at::kFloat).masked_fill(dead.unsqueeze(0), 0).contiguous();
  at::Tensor kept = at::zeros({rows, cols}, at::kBool);
  for (int64_t begin = 0; begin < cols; begin += block_size) {
    const int64_t count = std::min(block_size, cols - begin);
    at::Tensor block = w.narrow(1, begin, count);
    if (!pattern.structured()) {
      const at::Tensor diagonal = u.diagonal().narrow(0, begin, count);
      kept.narrow(1, begin, count)
          .copy_(KeepLargest((block / diagonal).square(), pattern, PruneScope::kMatrix));
    }
    at::Tensor errors = at::empty({rows, count}, at::kFloat);
    const float* factor = u.const_data_ptr<float>() + begin * cols + begin;
    float* values = w.mutable_data_ptr<float>() + begin;
    bool* mask = kept.mutable_data_ptr<bool>() + begin;
    float* error = errors.mutable_data_ptr<float>();
    ParallelFor(rows, 16, [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        PruneRow(pattern, factor, cols, count, values + r * cols, mask + r * cols, error + r * count);
      }
    });
    const int64_t end = begin + count;
    if (end < cols) {
      w.narrow(1, end, cols - end)
          .sub_(at::matmul(errors, u.narrow(0, begin, count).narrow(1, end, cols - end)));
    }
  }
  return {w, kept};
}

StageEntry SparseGptEntry() {
  StageDescription description;
  description.name = "sparsegpt";
  description.group = "prune";
  description.summary =
      "elements become zero column by column, and the columns that follow make good for the error that this "
      "causes in the output on the calibration text";
  description.parameters = PatternParameters();
  AddFeed(description.parameters);
  description.parameters.push_back({"ridge", ParameterDescription::Type::kReal, "0.01",
                                    "added to the input covariance, in means of its diagonal", 0, 10});
  description.selector = "attn/mlp";
  description.reference = "SparseGPT, arXiv 2301.00774, as in the authors' release";
  return {description, &MakeStage<SparseGptStage>};
}

}  // namespace tnb
