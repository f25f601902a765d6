#include "methods/vector/adam.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tnb {

void AmsGrad::Step(at::Tensor& values, const at::Tensor& gradient) {
  if (count_++ == 0) {
    first_ = at::zeros_like(values);
    second_ = at::zeros_like(values);
    largest_ = at::zeros_like(values);
  }
  const auto count = static_cast<double>(count_);
  first_.mul_(beta1_).add_(gradient, 1 - beta1_);
  second_.mul_(beta2_).addcmul_(gradient, gradient, 1 - beta2_);
  largest_ = at::maximum(largest_, second_);
  const at::Tensor root = (largest_ / (1 - std::pow(beta2_, count))).sqrt_().add_(1e-8);
  values.addcdiv_(first_, root, -rate_ / (1 - std::pow(beta1_, count)));
}

}  // namespace tnb
