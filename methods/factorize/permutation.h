// An order of rows and columns in which neighbors resemble one another, so that a leg of a few neighbors has
// little to say. A checkpoint's order of hidden units means nothing: any order is as good to the model, but
// not to a network whose cores share legs.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace tnb {

struct Permutation {
  at::Tensor rows, columns;  // int64; undefined: as it is
  bool none() const { return !rows.defined(); }
};

// "none"; "norm", by falling norm; "similar", each row followed by the one most like it (by absolute cosine)
// among those that are left, from the row of largest norm on.
Permutation ChoosePermutation(const std::string& name, const at::Tensor& w);
// w[rows][:, columns], and a covariance (may be undefined) in that order.
at::Tensor Permuted(const at::Tensor& w, const Permutation& permutation);
at::Tensor PermutedCovariance(const at::Tensor& covariance, const at::Tensor& order);

}  // namespace tnb
