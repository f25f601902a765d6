// Rounding with feedback: codes are chosen one after the other, and what each choice gets wrong is made up
// for by the numbers that are still free, in the metric of a linear's output or of the model's loss.
//
// With H = E[x xᵀ] of the inputs (damped), U upper triangular and Uᵀ U = H⁻¹, columns j in order:
//   q_j = nearest codes of w_j,  e = (w_j - q_j) / U_jj,  w_k -= e U_jk for k > j,
// which minimizes tr(ΔW H ΔWᵀ) greedily: GPTQ (arXiv 2210.17323), the same as OBQ in a fixed order and as
// Babai's nearest plane algorithm. With G = E[g gᵀ] of the loss gradients at the output as well, the loss is
// tr(G ΔW H ΔWᵀ) (methods/factorize/whitening.h): rows are not independent any more, and within a column row
// r's error moves the rows after it by the same rule with Vᵀ V = G⁻¹. G ⊗ H has the triangular factor V ⊗ U,
// so that this is nearest plane rounding again, in the metric of the two-sided Fisher information.
#pragma once

#include "methods/quantize/rounding.h"

namespace tnb {

struct FeedbackOptions {
  int bits = 4;
  int64_t group = 128;  // 0: rows
  bool symmetric = false;
  double damping = 0.01;         // of H, in means of its diagonal
  double output_damping = 0.01;  // of G
  // Columns by descending diagonal of H. Scales then come from the weights as they are (static groups).
  bool act_order = true;
  // Without act_order: scales of a group from its weights when its first column is reached, feedback
  // included.
  bool dynamic_groups = false;
  // Ranges of groups shrunk by the factor in {1, 0.95 .. 0.5} with the least error weighted by the diagonal
  // of H.
  bool clip = false;
};

// Codes for w (fp32 [out, in]); `input` is H [in, in], `output` G [out, out] or undefined: the identity. A
// column whose input is always zero gets zeros. Error{kData} when a covariance is not finite. Deterministic.
CodedMatrix RoundWithFeedback(const at::Tensor& w, const at::Tensor& input, const at::Tensor& output,
                              const FeedbackOptions& options);

// The factor in {1, 0.95 .. 0.5} for the range of every group with the least sum of h_j (w_j - w'_j)^2, h >=
// 0 [in]: fp32 [rows, groups].
at::Tensor SearchShrink(const at::Tensor& w, const at::Tensor& h, int bits, int64_t group, bool symmetric);

}  // namespace tnb
