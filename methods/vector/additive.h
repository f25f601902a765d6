// AQLM: additive quantization of one matrix (Egiazarian et al., arXiv 2401.06118). A group of g consecutive
// inputs of a row is the row's scale times the sum of one entry of each of C codebooks of 2^B entries, which
// the whole matrix shares. Codes, codebooks and scales minimize tr(ΔW H ΔWᵀ), the error of the layer's output
// on the calibration text:
//   start    scales are the rows' norms; residual k-means, codebook after codebook
//   rounds   Adam on codebooks and scales (learning rate 1e-4, betas 0 and 0.95, AMSGrad), then a search of
//   all
//            codes, group after group in a random order, each codebook's code the best given all others (the
//            release's beam search with its default beam of 1); until a round gains less than a hundredth
// Steps a round and rounds are fewer than the release's (100 and up to 1000): they are parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/engine/codebook.h"

namespace tnb {

struct AdditiveOptions {
  int64_t codebooks = 2;
  int64_t bits = 8;   // of a code
  int64_t group = 8;  // divides the columns
  int64_t rounds = 4;
  int64_t steps = 50;  // of Adam, a round
  double learning_rate = 1e-4;
  double tolerance = 0.01;  // relative gain below which no further round follows
  int64_t kmeans_iterations = 25;
  int64_t seed = 123;
};

struct Additive {
  Codebooks books;
  double start_loss = 0, loss = 0;  // tr(ΔW H ΔWᵀ) / tr(W H Wᵀ)
  int64_t rounds = 0;
};

// `matrix` fp32 [rows, cols], `covariance` fp32 [cols, cols]. Error{kUsage} when the group does not divide
// the columns.
Additive QuantizeAdditive(const at::Tensor& matrix, const at::Tensor& covariance,
                          const AdditiveOptions& options);

}  // namespace tnb
