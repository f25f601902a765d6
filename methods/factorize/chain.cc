#include "methods/factorize/chain.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "methods/factorize/alternating.h"
#include "methods/factorize/randomized.h"

namespace tnb {

ChainForm::ChainForm(Legs legs, ChainOptions options)
    : SizedForm(std::move(legs), options.size_name), options_(std::move(options)) {}

std::vector<int64_t> ChainForm::ExactBonds() const {
  const size_t cores = legs().out.size();
  std::vector<int64_t> bonds;
  int64_t left = 1;
  for (size_t cut = 0; cut + 1 < cores; ++cut) {
    int64_t right = options_.closing;
    for (size_t k = cut + 1; k < cores; ++k) right *= legs().out[k] * legs().in[k];
    left *= legs().out[cut] * legs().in[cut];
    // The first cut of a ring is shared by two bonds, and so is what is right of it.
    if (cut == 0) {
      const int64_t values = std::min(left, right / options_.closing);
      bonds.push_back((values + options_.closing - 1) / options_.closing);
    } else {
      bonds.push_back(std::min(left, right));
    }
    left = bonds.back();
  }
  return bonds;
}

int64_t ChainForm::LargestSize() const {
  const std::vector<int64_t> exact = ExactBonds();
  return *std::max_element(exact.begin(), exact.end());
}

int64_t ChainForm::Parameters(int64_t chi) const {
  const std::vector<int64_t> exact = ExactBonds();
  int64_t total = 0, left = options_.closing;
  for (size_t k = 0; k < legs().out.size(); ++k) {
    const int64_t right = k < exact.size() ? std::min(chi, exact[k]) : options_.closing;
    total += left * legs().out[k] * legs().in[k] * right;
    left = right;
  }
  return total;
}

// W[(o..), (i..)] -> T[o1, i1, o2, i2, ...]
at::Tensor ChainForm::Interleaved(const at::Tensor& w) const {
  const auto cores = static_cast<int64_t>(legs().out.size());
  std::vector<int64_t> order;
  for (int64_t k = 0; k < cores; ++k) {
    order.push_back(k);
    order.push_back(cores + k);
  }
  return Unfolded(w, legs()).permute(order).contiguous();
}

RateCurve ChainForm::Curve(const at::Tensor& matrix) const {
  if (options_.closing > 1) return SizedForm::Curve(matrix);
  RateCurve curve;
  std::vector<at::Tensor> spectra, tails;  // tails[k]: squares from the k-th on
  const at::Tensor t = Interleaved(matrix);
  int64_t rows = 1, largest = 1;
  for (size_t k = 0; k + 1 < legs().out.size(); ++k) {
    rows *= legs().out[k] * legs().in[k];
    const at::Tensor squares = SquaredSingularValues(t.reshape({rows, -1}));
    spectra.push_back(squares);
    tails.push_back(squares.flip(0).cumsum(0).flip(0).contiguous());
    largest = std::max(largest, squares.size(0));
  }
  curve.total = SquaredNorm(matrix);
  curve.effective_rank = std::exp(SpectralEntropy(spectra[spectra.size() / 2]));
  for (int64_t chi = 1; chi <= largest; ++chi) {
    const int64_t parameters = Parameters(chi);
    if (parameters >= dense_parameters()) break;
    double loss = 0;
    for (const at::Tensor& tail : tails) {
      if (chi < tail.size(0)) loss += tail.const_data_ptr<double>()[chi];
    }
    curve.parameters.push_back(parameters);
    curve.loss.push_back(loss);
  }
  return curve;
}

NetworkTensor ChainForm::Named(const at::Tensor& core, size_t k) const {
  const size_t cores = legs().out.size();
  NetworkTensor tensor;
  std::vector<int64_t> shape;
  const auto add = [&](int64_t leg, int64_t size) {
    tensor.legs.push_back(static_cast<int>(leg));
    shape.push_back(size);
  };
  const auto closing = static_cast<int64_t>(bond_leg(cores - 1));
  if (k > 0) {
    add(bond_leg(k - 1), core.size(0));
  } else if (options_.closing > 1) {
    add(closing, options_.closing);
  }
  add(out_leg(k), legs().out[k]);
  add(in_leg(k), legs().in[k]);
  if (k + 1 < cores) {
    add(bond_leg(k), core.size(2));
  } else if (options_.closing > 1) {
    add(closing, options_.closing);
  }
  tensor.values = core.reshape(shape);
  return tensor;
}

// All cores but the last are orthonormal from the left when it begins, and when it ends.
void ChainForm::Sweep(const at::Tensor& t, std::vector<at::Tensor>& cores) const {
  const size_t count = cores.size();
  // The best core at k between orthonormal neighbours is the projection of the tensor.
  const auto project = [&](size_t k) {
    at::Tensor left = at::ones({1, 1}), right = at::ones({1, 1});
    for (size_t j = 0; j < k; ++j) {
      left = at::matmul(left, cores[j].reshape({cores[j].size(0), -1})).reshape({-1, cores[j].size(2)});
    }
    for (size_t j = count; j-- > k + 1;) {
      right = at::matmul(cores[j].reshape({-1, cores[j].size(2)}), right).reshape({cores[j].size(0), -1});
    }
    const at::Tensor half = at::matmul(left.t(), t.reshape({left.size(0), -1}));
    cores[k] = at::matmul(half.reshape({-1, right.size(1)}), right.t())
                   .reshape({left.size(1), cores[k].size(1), right.size(0)});
  };
  for (int64_t sweep = 0; sweep < options_.sweeps; ++sweep) {
    for (size_t k = count - 1; k > 0; --k) {
      project(k);
      const at::Tensor rows = cores[k].reshape({cores[k].size(0), -1});
      // A bond that is wider than what is right of it shrinks here.
      cores[k] = Orthonormal(rows.t()).t().reshape({-1, cores[k].size(1), cores[k].size(2)}).contiguous();
    }
    for (size_t k = 0; k + 1 < count; ++k) {
      project(k);
      const at::Tensor columns = cores[k].reshape({-1, cores[k].size(2)});
      cores[k] = Orthonormal(columns).reshape({cores[k].size(0), cores[k].size(1), -1}).contiguous();
    }
  }
  project(count - 1);
}

NetworkCut ChainForm::CutTo(const at::Tensor& matrix, int64_t chi, double norm) const {
  const size_t count = legs().out.size();
  const double cut_norm = norm / std::sqrt(static_cast<double>(count - 1));
  const int64_t closing = options_.closing;
  NetworkCut cut;
  std::vector<at::Tensor> cores;
  const at::Tensor whole = Interleaved(matrix);
  at::Tensor rest = whole;
  int64_t left = 1;
  for (size_t k = 0; k < count; ++k) {
    const int64_t size = legs().out[k] * legs().in[k];
    if (k + 1 == count) {
      cores.push_back(rest.reshape({left, size, closing}));
      break;
    }
    const int64_t values = k == 0 ? chi * closing : chi;
    const TruncatedSvd svd = Truncate(rest.reshape({left * size, -1}), values, cut_norm);
    cut.loss += svd.discarded_squares;
    rest = svd.values.unsqueeze(1) * svd.right;
    at::Tensor core = svd.left;
    int64_t right = svd.values.size(0);
    if (k == 0 && closing > 1) {
      // Values are dealt out to two bonds; what is missing for a rectangle is zero.
      const int64_t missing = (closing - right % closing) % closing;
      right = (right + missing) / closing;
      core = at::constant_pad_nd(core, {0, missing}).reshape({size, closing, right}).permute({1, 0, 2});
      rest = at::constant_pad_nd(rest, {0, 0, 0, missing})
                 .reshape({closing, right, -1})
                 .permute({1, 2, 0})
                 .contiguous();
      left = closing;
    }
    cores.push_back(core.reshape({left, size, right}).contiguous());
    left = right;
  }
  if (options_.sweeps > 0 && count > 2 && closing == 1) Sweep(whole, cores);
  Finish(cores, cut);
  if (options_.sweeps > 0 && count > 2) {
    if (closing > 1) AlternatingLeastSquares(matrix, legs(), options_.sweeps, cut.cores);
    cut.loss = MeasuredLoss(matrix, cut.cores, legs());
  }
  return cut;
}

NetworkCut ChainForm::Sketch(const at::Tensor& matrix, const Amount& amount) const {
  if (legs().out.size() != 2 || options_.closing > 1 || amount.error > 0) return Cut(matrix, amount);
  const int64_t size = legs().out[0] * legs().in[0];
  const at::Tensor whole = Interleaved(matrix).reshape({size, -1});
  const at::Tensor basis = RandomRange(whole, std::min(SizeFor(amount), ExactBonds()[0]));
  const at::Tensor rest = at::matmul(basis.t(), whole);
  NetworkCut cut;
  cut.loss = std::max(0.0, SquaredNorm(whole) - SquaredNorm(rest));
  Finish({basis.reshape({1, size, -1}), rest.reshape({rest.size(0), -1, 1})}, cut);
  return cut;
}

void ChainForm::Finish(const std::vector<at::Tensor>& cores, NetworkCut& cut) const {
  for (size_t k = 0; k < cores.size(); ++k) cut.cores.push_back(Named(cores[k], k));
  std::vector<int64_t> bonds;
  for (size_t k = 1; k < cores.size(); ++k) bonds.push_back(cores[k].size(0));
  if (options_.size_name == "rank") {
    cut.detail["rank"] = bonds[0];
  } else {
    cut.detail = {{"bonds", bonds}, {"exact_bonds", ExactBonds()}, {"legs", ToString(legs())}};
    if (options_.closing > 1) cut.detail["closing"] = options_.closing;
  }
}

std::optional<std::vector<at::Tensor>> ChainForm::CoresOf(const Linear& linear) const {
  const std::optional<NetworkParts> parts = linear.Network();
  const size_t count = legs().out.size();
  if (options_.closing > 1 || !parts || parts->cores.size() != count || parts->out_legs.size() != count ||
      parts->in_legs.size() != count) {
    return std::nullopt;
  }
  const auto find = [](const NetworkTensor& core, int leg) {
    return std::find(core.legs.begin(), core.legs.end(), leg) - core.legs.begin();
  };
  const auto has = [&](const NetworkTensor& core, int leg) {
    return find(core, leg) < static_cast<std::ptrdiff_t>(core.legs.size());
  };
  std::vector<const NetworkTensor*> ordered;
  for (size_t k = 0; k < count; ++k) {
    for (const NetworkTensor& core : parts->cores) {
      if (has(core, parts->out_legs[k]) && has(core, parts->in_legs[k])) ordered.push_back(&core);
    }
  }
  if (ordered.size() != count) return std::nullopt;
  std::vector<at::Tensor> cores;
  for (size_t k = 0; k < count; ++k) {
    const NetworkTensor& core = *ordered[k];
    std::vector<int64_t> axes;
    std::vector<int64_t> shape(3, 1);
    const auto shared = [&](const NetworkTensor& other) {
      int bond = -1;
      for (const int leg : core.legs) {
        if (!has(other, leg)) continue;
        if (bond >= 0) return false;  // two bonds: no chain
        bond = leg;
      }
      if (bond < 0) return false;
      axes.push_back(find(core, bond));
      return true;
    };
    if (k > 0) {
      if (!shared(*ordered[k - 1])) return std::nullopt;
      shape[0] = core.values.size(axes.back());
    }
    for (const int leg : {parts->out_legs[k], parts->in_legs[k]}) {
      axes.push_back(find(core, leg));
      shape[1] *= core.values.size(axes.back());
    }
    if (core.values.size(axes[axes.size() - 2]) != legs().out[k] ||
        core.values.size(axes.back()) != legs().in[k])
      return std::nullopt;
    if (k + 1 < count) {
      if (!shared(*ordered[k + 1])) return std::nullopt;
      shape[2] = core.values.size(axes.back());
    }
    if (axes.size() != core.legs.size()) return std::nullopt;
    cores.push_back(core.values.permute(axes).reshape(shape));
  }
  return cores;
}

std::optional<NetworkCut> ChainForm::Round(const Linear& linear, const Amount& amount) const {
  std::optional<std::vector<at::Tensor>> found = CoresOf(linear);
  if (!found) return std::nullopt;
  std::vector<at::Tensor>& cores = *found;
  const size_t count = cores.size();
  for (size_t k = count - 1; k > 0; --k) {
    const at::Tensor rows = cores[k].reshape({cores[k].size(0), -1});
    const auto [basis, triangle] = at::linalg_qr(rows.t());
    cores[k] = basis.t().reshape({-1, cores[k].size(1), cores[k].size(2)}).contiguous();
    cores[k - 1] = at::matmul(cores[k - 1], triangle.t());
  }
  // All cores but the first are orthonormal: its norm is that of the matrix.
  const int64_t chi = amount.error > 0 ? 0 : SizeFor(amount);
  const double cut_norm =
      amount.error * std::sqrt(SquaredNorm(cores[0])) / std::sqrt(static_cast<double>(count - 1));
  NetworkCut cut;
  for (size_t k = 0; k + 1 < count; ++k) {
    const TruncatedSvd svd = Truncate(cores[k].reshape({-1, cores[k].size(2)}), chi, cut_norm);
    cut.loss += svd.discarded_squares;
    cores[k] = svd.left.reshape({cores[k].size(0), cores[k].size(1), -1}).contiguous();
    const at::Tensor rest = svd.values.unsqueeze(1) * svd.right;
    cores[k + 1] = at::matmul(rest, cores[k + 1].reshape({cores[k + 1].size(0), -1}))
                       .reshape({-1, cores[k + 1].size(1), cores[k + 1].size(2)});
  }
  Finish(cores, cut);
  return cut;
}

std::vector<std::shared_ptr<const Form>> Chains(const std::vector<Legs>& legs, const ChainOptions& options) {
  std::vector<std::shared_ptr<const Form>> forms;
  for (const Legs& each : legs) forms.push_back(std::make_shared<ChainForm>(each, options));
  return forms;
}

}  // namespace tnb
