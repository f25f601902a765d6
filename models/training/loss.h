// The loss of training and its derivative by the logits, a few rows at a time: a vocabulary of 50,000 makes
// the logits the largest tensors of a training step, and these are never held for all tokens at once.
//
// loss of a token = (1 - distillation) · -log q(target)
//                 + distillation · T² · sum over the vocabulary of p_T · log(p_T / q_T)
//                 + hidden · mean over the blocks of |h - t|² / |t|²
// with q the model's and p the teacher's probabilities and p_T, q_T those of logits divided by the
// temperature T; T² keeps the size of the gradients (Hinton et al., arXiv 1503.02531). h and t are the
// model's and the teacher's hidden states after a block (TinyBERT, arXiv 1909.10351, without its projection:
// both are of one width). Their difference is measured by the size of the token's own t, as the norm of the
// next block reads it: in a mean over tokens the few with states a thousand times as large as all others
// (arXiv 2402.17762) would be all that counts.
#pragma once

#include <ATen/core/Tensor.h>

namespace tnb {

struct LossOptions {
  double distillation = 0;  // 0 to 1; more than 0 needs a teacher
  double temperature = 1;
  double hidden =
      0;  // weight of the hidden states; more than 0 needs a teacher of as many blocks and the same width
  bool teaches() const { return distillation > 0 || hidden > 0; }
};

// Sums over tokens, each times its weight.
struct LossSums {
  double cross_entropy = 0;  // of -log q(target)
  double divergence = 0;     // of T² KL(p_T || q_T)
  double hidden = 0;         // of the mean over the blocks of |h - t|² / |t|²
  double weight = 0;
  double Loss(const LossOptions& options) const;  // the mean
};

// logits [n, vocabulary] fp32 or bf16, targets int64 [n], weights fp32 [n], teacher (logits, as logits;
// undefined without distillation). Adds to `sums`; returns scale · weight · d loss / d logits in the dtype of
// the logits, which it computes in fp32.
at::Tensor LossGradient(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights,
                        const at::Tensor& teacher, const LossOptions& options, double scale, LossSums& sums);

// hidden, teacher fp32 [n, width], weights fp32 [n]. Adds the sum over tokens of weight · |h - t|² / |t|² to
// `sum` and returns scale times its derivative by `hidden`. Tokens with t = 0 have no size to measure by and
// do not count.
at::Tensor HiddenGradient(const at::Tensor& hidden, const at::Tensor& teacher, const at::Tensor& weights,
                          double scale, double& sum);

}  // namespace tnb
