#include "methods/factorize/filtered.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "methods/factorize/randomized.h"
#include "models/engine/ops.h"

namespace tnb {
namespace {

// rows · matrix of a symmetric matrix, in its precision; fp32.
at::Tensor Product(const at::Tensor& rows, const at::Tensor& matrix) {
  if (matrix.scalar_type() == at::kFloat) return TimesTransposed(rows, matrix);
  return at::matmul(rows.to(matrix.scalar_type()), matrix).to(at::kFloat);
}

// T_degree(x).
double Chebyshev(int degree, double x) {
  return x <= 1 ? 1 : std::cosh(static_cast<double>(degree) * std::acosh(x));
}

// rows · T_degree(2 matrix / cut - 1): at most 1 for eigenvalues up to `cut`, growing quickly beyond. The
// last product is with `fp32`, the same matrix in that type: rounding before it is filtered with the rest.
at::Tensor Filtered(const at::Tensor& rows, const at::Tensor& matrix, const at::Tensor& fp32, double cut,
                    int degree) {
  const double scale = 2 / cut;
  const auto product = [&](const at::Tensor& factor, int step) {
    return Product(factor, step == degree ? fp32 : matrix);
  };
  at::Tensor last = rows, now = product(rows, 1).mul_(scale).sub_(rows);
  for (int step = 2; step <= degree; ++step) {
    at::Tensor next = product(now, step).mul_(2 * scale).sub_(now, 2).sub_(last);
    last = now;
    now = next;
  }
  return now;
}

// What another round would add to the sum of the `rank` leading values: what each of a sample of the vectors
// would gain from its own residual r (a problem of size 2: theta = values, mu = r G r / r r). `vectors`
// [width, width] are the eigenvectors of the small matrix by columns, leading first.
double ExpectedGain(const at::Tensor& basis, const at::Tensor& image, const at::Tensor& matrix,
                    const at::Tensor& vectors, const at::Tensor& values, int64_t rank) {
  constexpr int64_t kSample = 64;
  const int64_t stride = std::max<int64_t>(1, rank / kSample);
  const at::Tensor sample = at::arange(stride / 2, rank, stride);
  const at::Tensor weights = vectors.index_select(1, sample).t();
  const at::Tensor theta = values.index_select(0, sample);
  const at::Tensor residuals =
      at::matmul(weights, image) - at::matmul(weights, basis) * theta.to(at::kFloat).unsqueeze(1);
  const at::Tensor squares = residuals.square().sum(1, false, at::kDouble);
  const at::Tensor mu = (residuals * Product(residuals, matrix)).sum(1, false, at::kDouble) / squares;
  const at::Tensor half = (theta - mu) / 2;
  return ((half.square() + squares).sqrt() - half).mean().item<double>() * static_cast<double>(rank);
}

}  // namespace

double SpectrumEstimate::At(double rank) const {
  // Half of a node's count lies above its value.
  double above = 0, before = 0, value = largest();
  for (const auto& [node, count] : nodes) {
    const double middle = above + count / 2;
    if (middle >= rank) {
      return value + (node - value) * (rank - before) / std::max(middle - before, 1e-9);
    }
    before = middle;
    value = node;
    above += count;
  }
  return value;
}

double SpectrumEstimate::Share(double rank) const {
  double total = 0, kept = 0, above = 0;
  for (const auto& [value, count] : nodes) {
    kept += value * std::clamp(rank - above, 0.0, count);
    total += value * count;
    above += count;
  }
  return kept / total;
}

std::optional<SpectrumEstimate> EstimateSpectrum(const at::Tensor& gram) {
  constexpr int64_t kProbes = 8, kSteps = 30;
  const int64_t size = gram.size(0);
  if (size < 2 * kSteps) return std::nullopt;
  at::Tensor now = RandomStart(kProbes, size, at::kFloat);
  now = now / now.norm(2, {1}, true);
  std::vector<at::Tensor> basis;
  at::Tensor small = at::zeros({kProbes, kSteps, kSteps}, at::kDouble);
  for (int64_t step = 0; step < kSteps; ++step) {
    at::Tensor next = Product(now, gram);
    basis.push_back(now);
    const at::Tensor all = at::stack(basis, 1);  // [probes, step + 1, size]
    // Twice is enough (Giraud, Langou and Rozloznik 2005).
    for (int pass = 0; pass < 2; ++pass) {
      const at::Tensor inner = at::matmul(all, next.unsqueeze(2));
      next = next - at::matmul(inner.transpose(1, 2), all).squeeze(1);
      if (pass == 0) small.select(1, step).select(1, step).copy_(inner.select(1, step).squeeze(1));
    }
    if (step + 1 == kSteps) break;
    const at::Tensor norm = next.norm(2, {1});
    // NaN, or a probe that has run through all different eigenvalues.
    if (!(norm.min().item<double>() > 1e-5 * small.abs().max().item<double>())) return std::nullopt;
    small.select(1, step).select(1, step + 1).copy_(norm);
    small.select(1, step + 1).select(1, step).copy_(norm);
    now = next / norm.unsqueeze(1);
  }
  const auto [values, vectors] = at::linalg_eigh(small);
  const at::Tensor counts =
      (vectors.select(1, 0).square() * (static_cast<double>(size) / kProbes)).reshape({-1});
  const auto [sorted, order] = values.reshape({-1}).sort(/*dim=*/0, /*descending=*/true);
  const at::Tensor sorted_counts = counts.index_select(0, order);
  SpectrumEstimate estimate;
  for (int64_t i = 0; i < sorted.size(0); ++i) {
    estimate.nodes.emplace_back(std::max(0.0, sorted[i].item<double>()), sorted_counts[i].item<double>());
  }
  return estimate;
}

std::optional<at::Tensor> FilteredVectors(const at::Tensor& gram, int64_t rank) {
  constexpr int kMostRounds = 8, kMostDegree = 16;
  constexpr double kStandsOut = 40;    // of the smallest wanted value after a filter, over what is damped
  constexpr double kBeyond = 1.3;      // the cut lies at this many times the rank
  constexpr double kSettled = 5e-3;    // of the missed sum
  constexpr double kMostSpread = 150;  // of the largest value over the smallest wanted one
  const bool exact = gram.scalar_type() == at::kFloat;
  // Of the largest and the smallest wanted value after a filter: rounding is relative to the largest.
  const double most_growth = exact ? 2e5 : 2e3;
  const int64_t size = gram.size(0), width = rank + std::max<int64_t>(16, rank / 8);
  if (10 * width > 7 * size) return std::nullopt;
  const std::optional<SpectrumEstimate> spectrum = EstimateSpectrum(gram);
  if (!spectrum) return std::nullopt;
  const auto wanted = static_cast<double>(rank);
  if (!exact && spectrum->Share(wanted) > 0.99) return std::nullopt;
  const double total = gram.diagonal().sum(at::kDouble).item<double>();
  double cut = spectrum->At(std::min(kBeyond * wanted, 0.9 * static_cast<double>(size)));
  double smallest = spectrum->At(wanted), largest = spectrum->largest();
  const at::Tensor fp32 = gram.to(at::kFloat);
  // Vectors are rows: the matrix is symmetric, and the products are plain ones.
  at::Tensor basis = RandomStart(width, size, at::kFloat);
  for (int round = 0; round < kMostRounds; ++round) {
    // Also false for NaN.
    if (!(smallest * kMostSpread > largest && cut > 0)) return std::nullopt;
    const auto amplified = [&](int degree, double value) { return Chebyshev(degree, 2 * value / cut - 1); };
    int degree = 1;
    while (degree < kMostDegree && amplified(degree, smallest) < 0.99 * kStandsOut &&
           amplified(degree + 1, largest) <= most_growth * amplified(degree + 1, smallest))
      ++degree;
    basis = Orthonormal(Filtered(basis, gram, fp32, cut, degree).t()).t().contiguous();
    const at::Tensor image = Product(basis, gram);
    const at::Tensor small = TimesTransposed(image, basis);
    const auto [ascending, by_value] = at::linalg_eigh((small + small.t()) / 2);
    const at::Tensor values = ascending.flip(0).to(at::kDouble), vectors = by_value.flip(1);
    const double missed = total - values.narrow(0, 0, rank).sum().item<double>();
    smallest = values[rank - 1].item<double>();
    largest = values[0].item<double>();
    cut = std::min(cut, smallest);
    if (!(smallest * kMostSpread > largest)) return std::nullopt;
    const double gain = ExpectedGain(basis, image, gram, vectors, values, rank);
    if (gain <= std::max(kSettled * missed, 1e-6 * total)) {
      return TimesTransposed(basis.t(), vectors.narrow(1, 0, rank).t());
    }
  }
  return std::nullopt;
}

}  // namespace tnb
