#include "methods/factorize/whitening.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace tnb {
namespace {

// T'[.., a, ..] = sum_b m[b, a] T[.., b, ..] along one axis.
at::Tensor TimesAlong(const at::Tensor& t, int64_t axis, const at::Tensor& m) {
  return at::matmul(t.transpose(axis, -1), m).transpose(axis, -1);
}

void Add(const at::Tensor& covariance, double ridge, const std::vector<int64_t>& sizes,
         std::vector<at::Tensor>& factors, double& used) {
  if (!covariance.defined()) {
    factors.resize(sizes.size());
    return;
  }
  for (const at::Tensor& factor : KroneckerFactors(covariance, sizes)) {
    double taken = ridge;
    // A leg of size 1 carries a scale only; a ridge would change it.
    factors.push_back(factor.size(0) == 1 ? WhiteningFactor(factor, 0)
                                          : WhiteningFactor(factor, ridge, &taken));
    used = std::max(used, taken);
  }
}

}  // namespace

at::Tensor WhiteningFactor(const at::Tensor& covariance, double ridge, double* used) {
  const at::Tensor exact = covariance.to(at::kDouble);
  if (!at::isfinite(exact).all().item<bool>()) {
    throw Error(ErrorKind::kData, {"a covariance of the calibration is not finite", "", "NaN or infinity", "",
                                   "is the checkpoint damaged?"});
  }
  const at::Tensor symmetric = (exact + exact.t()) / 2;
  const double mean = symmetric.diagonal().mean().item<double>();
  const at::Tensor identity = at::eye(exact.size(0), at::kDouble);
  if (used != nullptr) *used = ridge;
  if (mean <= 0) return identity;
  // A millionth of the mean at first, as SVD-LLM does it, then ever more: at the latest when the ridge is as
  // large as n times the mean it is positive definite, since no eigenvalue is larger.
  for (double taken = ridge;; taken = std::max(2 * taken, 1e-6)) {
    const auto [factor, failed] = at::linalg_cholesky_ex(symmetric + taken * mean * identity);
    if (failed.item<int>() == 0 && at::isfinite(factor).all().item<bool>()) {
      if (used != nullptr) *used = taken;
      return factor;
    }
    if (taken > static_cast<double>(exact.size(0)) * 4) {
      throw Error(ErrorKind::kData, {"a covariance of the calibration is not one", "no negative eigenvalues",
                                     "", "", "remove the file of statistics; it is computed again"});
    }
  }
}

std::vector<at::Tensor> KroneckerFactors(const at::Tensor& covariance, const std::vector<int64_t>& sizes) {
  const at::Tensor exact = covariance.to(at::kDouble);
  const double trace = exact.trace().item<double>();
  std::vector<at::Tensor> factors;
  int64_t before = 1, after = exact.size(0);
  for (size_t k = 0; k < sizes.size(); ++k) {
    after /= sizes[k];
    // Partial trace over the legs before and after.
    at::Tensor part = exact.reshape({before, sizes[k], after, before, sizes[k], after})
                          .diagonal(0, 0, 3)
                          .sum(-1)  // [size, after, size, after]
                          .diagonal(0, 1, 3)
                          .sum(-1);  // [size, size]
    // Each partial trace has the whole trace; all but the first are normalized.
    if (k > 0 && trace > 0) part = part / trace;
    factors.push_back(part);
    before *= sizes[k];
  }
  return factors;
}

bool LegWhitening::none() const {
  const auto undefined = [](const at::Tensor& factor) { return !factor.defined(); };
  return std::all_of(out.begin(), out.end(), undefined) && std::all_of(in.begin(), in.end(), undefined);
}

LegWhitening WhitenLegs(const at::Tensor& output, double output_ridge, const at::Tensor& input, double ridge,
                        const Legs& legs) {
  LegWhitening whitening;
  Add(output, output_ridge, legs.out, whitening.out, whitening.output_ridge);
  Add(input, ridge, legs.in, whitening.in, whitening.ridge);
  return whitening;
}

at::Tensor Whiten(const at::Tensor& w, const Legs& legs, const LegWhitening& whitening) {
  std::vector<int64_t> shape = legs.out;
  shape.insert(shape.end(), legs.in.begin(), legs.in.end());
  at::Tensor t = w.to(at::kDouble).reshape(shape);
  int64_t axis = 0;
  for (const auto* factors : {&whitening.out, &whitening.in}) {
    for (const at::Tensor& factor : *factors) {
      if (factor.defined()) t = TimesAlong(t, axis, factor);
      ++axis;
    }
  }
  return t.reshape(w.sizes()).to(at::kFloat);
}

at::Tensor Unwhiten(const at::Tensor& core, int64_t axis, const at::Tensor& factor) {
  const at::Tensor last = core.to(at::kDouble).transpose(axis, -1);
  const at::Tensor rows = last.reshape({-1, last.size(-1)});
  // rows = x · factor, solved for x.
  const at::Tensor x = at::linalg_solve_triangular(factor, rows, /*upper=*/false, /*left=*/false);
  return x.reshape(last.sizes()).transpose(axis, -1).to(at::kFloat).contiguous();
}

}  // namespace tnb
