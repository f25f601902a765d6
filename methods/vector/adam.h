// Adam without weight decay, with the largest second moment so far (AMSGrad, Reddi, Kale and Kumar, ICLR
// 2018), as torch.optim.Adam(amsgrad=True): what AQLM's release trains codebooks with.
#pragma once

#include <ATen/core/Tensor.h>

namespace tnb {

// The state of one tensor.
class AmsGrad {
 public:
  AmsGrad(double rate, double beta1, double beta2) : rate_(rate), beta1_(beta1), beta2_(beta2) {}
  // Moves `values` in place.
  void Step(at::Tensor& values, const at::Tensor& gradient);

 private:
  double rate_, beta1_, beta2_;
  int64_t count_ = 0;
  at::Tensor first_, second_, largest_;
};

}  // namespace tnb
