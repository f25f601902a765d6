#include "methods/factorize/mpo.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "methods/factorize/factorizer.h"

namespace tnb {

std::vector<int64_t> ExactBonds(const Legs& legs) {
  const size_t cores = legs.out.size();
  std::vector<int64_t> bonds;
  for (size_t cut = 1; cut < cores; ++cut) {
    int64_t left = 1, right = 1;
    for (size_t k = 0; k < cores; ++k) (k < cut ? left : right) *= legs.out[k] * legs.in[k];
    bonds.push_back(std::min(left, right));
  }
  return bonds;
}

int64_t MpoParameters(const Legs& legs, int64_t chi) {
  const std::vector<int64_t> exact = ExactBonds(legs);
  int64_t total = 0, left = 1;
  for (size_t k = 0; k < legs.out.size(); ++k) {
    const int64_t right = k < exact.size() ? std::min(chi, exact[k]) : 1;
    total += left * legs.out[k] * legs.in[k] * right;
    left = right;
  }
  return total;
}

namespace {

int64_t LargestBond(const Legs& legs) {
  const std::vector<int64_t> exact = ExactBonds(legs);
  return *std::max_element(exact.begin(), exact.end());
}

// W[(o..), (i..)] -> T[o1, i1, o2, i2, ...]
at::Tensor Interleave(const at::Tensor& w, const Legs& legs) {
  const auto cores = static_cast<int64_t>(legs.out.size());
  std::vector<int64_t> shape = legs.out;
  shape.insert(shape.end(), legs.in.begin(), legs.in.end());
  std::vector<int64_t> order;
  for (int64_t k = 0; k < cores; ++k) {
    order.push_back(k);
    order.push_back(cores + k);
  }
  return w.reshape(shape).permute(order).contiguous();
}

}  // namespace

int64_t BondFor(const Amount& amount, const Legs& legs, int64_t dense_parameters) {
  const int64_t largest = LargestBond(legs);
  if (amount.rank > 0) {
    if (amount.rank > largest) {
      throw Error(ErrorKind::kUsage, {"the bond dimension is larger than the exact one",
                                      "1 to " + std::to_string(largest) + " with legs " + ToString(legs),
                                      std::to_string(amount.rank), "", "a smaller chi, or keep="});
    }
    return amount.rank;
  }
  const double budget = amount.keep * static_cast<double>(dense_parameters);
  if (static_cast<double>(MpoParameters(legs, 1)) > budget) {
    throw Error(ErrorKind::kUsage, {"keep is too small for a bond dimension of 1",
                                    "at least " +
                                        std::to_string(static_cast<double>(MpoParameters(legs, 1)) /
                                                       static_cast<double>(dense_parameters)) +
                                        " with legs " + ToString(legs),
                                    std::to_string(amount.keep), "", "a larger keep, or more cores"});
  }
  // MpoParameters grows with chi: bisection for the largest that fits.
  int64_t low = 1, high = largest;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (static_cast<double>(MpoParameters(legs, middle)) <= budget) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

std::vector<at::Tensor> CutSpectra(const at::Tensor& w, const Legs& legs) {
  const at::Tensor t = Interleave(w, legs);
  std::vector<at::Tensor> spectra;
  int64_t rows = 1;
  for (size_t k = 0; k + 1 < legs.out.size(); ++k) {
    rows *= legs.out[k] * legs.in[k];
    spectra.push_back(SquaredSingularValues(t.reshape({rows, -1})));
  }
  return spectra;
}

MpoResult DecomposeMpo(const at::Tensor& w, const Legs& legs, const Amount& amount,
                       const LegWhitening* whitening) {
  const size_t cores = legs.out.size();
  const at::Tensor matrix = whitening != nullptr ? Whiten(w, legs, *whitening) : w;
  const double norm = matrix.norm().item<double>();
  const double cut_norm = amount.error * norm / std::sqrt(static_cast<double>(cores - 1));
  const int64_t chi = amount.error > 0 ? 0 : BondFor(amount, legs, w.numel());
  MpoResult result;
  std::vector<NetworkTensor> network;
  double discarded = 0;
  at::Tensor rest = Interleave(matrix, legs);
  int64_t left = 1;
  at::Tensor left_gauge;  // square roots of the values of the bond to the left
  // Leg numbers: out legs 0.., in legs K.., bonds 2K...
  const auto number = [&](size_t base, size_t k) { return static_cast<int>(base * cores + k); };
  for (size_t k = 0; k < cores; ++k) {
    at::Tensor core;
    int64_t right = 1;
    at::Tensor gauge;
    if (k + 1 < cores) {
      TruncatedSvd svd = Truncate(rest.reshape({left * legs.out[k] * legs.in[k], -1}), chi, cut_norm);
      discarded += svd.discarded_squares;
      right = svd.values.size(0);
      result.bonds.push_back(right);
      gauge = svd.values.sqrt();
      rest = svd.values.unsqueeze(1) * svd.right;
      core = svd.left.contiguous() * gauge;
    } else {
      core = rest;
    }
    core = core.reshape({left, legs.out[k], legs.in[k], right});
    if (left_gauge.defined()) {
      const at::Tensor inverse =
          at::where(left_gauge > 0, left_gauge.reciprocal(), at::zeros_like(left_gauge));
      core = core * inverse.view({left, 1, 1, 1});
    }
    NetworkTensor tensor;
    std::vector<int64_t> shape;
    const auto add = [&](int leg, int64_t size) {
      tensor.legs.push_back(leg);
      shape.push_back(size);
    };
    if (k > 0) add(number(2, k - 1), left);
    add(number(0, k), legs.out[k]);
    add(number(1, k), legs.in[k]);
    if (k + 1 < cores) add(number(2, k), right);
    tensor.values = core.reshape(shape);
    if (whitening != nullptr) {
      const int64_t axis = k > 0 ? 1 : 0;
      if (whitening->out[k].defined()) tensor.values = Unwhiten(tensor.values, axis, whitening->out[k]);
      if (whitening->in[k].defined()) tensor.values = Unwhiten(tensor.values, axis + 1, whitening->in[k]);
    }
    network.push_back(std::move(tensor));
    left_gauge = gauge;
    left = right;
  }
  std::vector<int> out_legs, in_legs;
  for (size_t k = 0; k < cores; ++k) {
    out_legs.push_back(number(0, k));
    in_legs.push_back(number(1, k));
  }
  result.linear = MakeNetworkLinear(network, out_legs, in_legs);
  result.discarded_squares = discarded;
  result.discarded_weight = norm > 0 ? discarded / (norm * norm) : 0;
  return result;
}

namespace {

std::unique_ptr<Stage> Make(const StageValues& values) {
  FactorizerOptions options = OptionsFrom(values, "chi");
  const int64_t cores = values.Integer("cores");
  const std::string text = values.Text("legs");
  if (text == "best" && cores != 2) {
    throw Error(ErrorKind::kUsage, {"legs=best searches two-core networks", "cores=2", std::to_string(cores),
                                    "legs", "legs=auto, or legs of your own"});
  }
  options.legs = [cores, text](int64_t rows, int64_t cols) {
    return text == "best" ? LegFamily(rows, cols) : std::vector<Legs>{ChooseLegs(text, cores, rows, cols)};
  };
  return MakeFactorizer(std::move(options));
}

}  // namespace

StageEntry MpoEntry() {
  using Type = ParameterDescription::Type;
  StageDescription description;
  description.name = "mpo";
  description.group = "factorize";
  description.summary =
      "matrix product operator by sequential singular value decompositions; embedding, head and down are "
      "left alone";
  description.parameters = AmountParameters("chi");
  description.parameters.push_back({"cores", Type::kInteger, "2", "number of cores", 2, 6, {}});
  description.parameters.push_back({"legs",
                                    Type::kText,
                                    "auto",
                                    "auto (balanced factors), best (two cores, from plain low rank to square "
                                    "legs, by measured error), or out/in legs such as 32x48/24x24",
                                    0,
                                    0,
                                    {}});
  AddWhitening(description.parameters);
  description.selector = "attn/gate/up";
  description.reference = "CompactifAI, arXiv 2401.14109; Oseledets 2011 (TT-SVD)";
  return {description, &Make};
}

}  // namespace tnb
