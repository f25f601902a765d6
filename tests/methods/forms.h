// Forms applied to a matrix, for tests.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "methods/factorize/form.h"

namespace tnb::testing {

inline at::Tensor Gaussian(int64_t rows, int64_t cols, uint64_t seed = 7) {
  at::manual_seed(seed);
  return at::randn({rows, cols});
}

struct Fitted {
  std::unique_ptr<Linear> linear;
  Json detail;
  double loss = 0;   // as the form says it
  double error = 0;  // |W - W'| / |W|, measured in fp64
  int64_t parameters = 0;
};

// One matrix a weight, for ForwardWith and RowsWith.
inline std::vector<at::Tensor> Matrices(const Linear& linear) {
  std::vector<at::Tensor> matrices;
  for (int64_t i = 0; i < linear.weight_count(); ++i) matrices.push_back(linear.weight(i)->Dense());
  return matrices;
}

inline double RelativeError(const at::Tensor& w, const at::Tensor& approximation) {
  return ((w.to(at::kDouble) - approximation.to(at::kDouble)).norm() / w.to(at::kDouble).norm())
      .item<double>();
}

inline Fitted Fit(const Form& form, const at::Tensor& w, const Amount& amount,
                  const LegWhitening& whitening = {}) {
  NetworkCut cut = CutWhitened(form, w, whitening, amount);
  Fitted fitted;
  fitted.linear = LinearOf(cut.cores, form.legs());
  fitted.detail = cut.detail;
  fitted.loss = cut.loss;
  fitted.error = RelativeError(w, fitted.linear->Rebuild());
  fitted.parameters = fitted.linear->size().parameters;
  return fitted;
}

}  // namespace tnb::testing
