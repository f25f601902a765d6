#include "methods/factorize/tucker.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "methods/factorize/factorizer.h"
#include "methods/factorize/randomized.h"

namespace tnb {
namespace {

// Mode `k` first, everything else behind it: [n(k), rest], fp64.
at::Tensor ModeUnfolding(const at::Tensor& t, size_t k) {
  const auto axis = static_cast<int64_t>(k);
  return t.movedim(axis, 0).reshape({t.size(axis), -1}).to(at::kDouble);
}

// Left singular vectors of a mode's unfolding by falling value, as many as it can have, and the squares of
// the values, n(k) of them.
std::pair<at::Tensor, at::Tensor> ModeVectors(const at::Tensor& t, size_t k) {
  const at::Tensor unfolded = ModeUnfolding(t, k);
  const int64_t size = unfolded.size(0);
  if (size <= unfolded.size(1)) {
    const auto [values, vectors] = at::linalg_eigh(at::matmul(unfolded, unfolded.t()));
    if (at::isfinite(values).all().item<bool>()) return {vectors.flip(1), values.flip(0).clamp_min(0)};
  } else {
    // From the other side, which is the shorter one; QR makes up for what division by small values would
    // lose.
    const auto [values, vectors] = at::linalg_eigh(at::matmul(unfolded.t(), unfolded));
    if (at::isfinite(values).all().item<bool>()) {
      return {Orthonormal(at::matmul(unfolded, vectors.flip(1))),
              at::constant_pad_nd(values.flip(0).clamp_min(0), {0, size - values.size(0)})};
    }
  }
  const TruncatedSvd svd = Truncate(unfolded.to(at::kFloat), size);
  const at::Tensor squares = svd.values.to(at::kDouble).square();
  return {svd.left.to(at::kDouble), at::constant_pad_nd(squares, {0, size - squares.size(0)})};
}

// T x_k Uᵀ
at::Tensor TimesFactor(const at::Tensor& t, size_t k, const at::Tensor& factor) {
  const auto axis = static_cast<int64_t>(k);
  return at::matmul(t.transpose(axis, -1), factor.to(t.scalar_type())).transpose(axis, -1);
}

// How much longer the next step is to be: of a mode that is not cut yet the shortest useful one is looked
// for, then prices along the way.
int64_t NextStep(int64_t step, bool first_cut, bool found) {
  if (first_cut) return found ? std::max<int64_t>(1, step / 16) : 1;
  return step < 4 ? 1 : step / 4;
}

}  // namespace

TuckerForm::TuckerForm(Legs legs, TuckerOptions options)
    : Form(std::move(legs)), options_(std::move(options)) {
  sizes_ = this->legs().out;
  sizes_.insert(sizes_.end(), this->legs().in.begin(), this->legs().in.end());
  options_.whole.resize(sizes_.size(), false);
}

int64_t TuckerForm::Parameters(const std::vector<int64_t>& ranks) const {
  int64_t core = 1, factors = 0;
  for (size_t k = 0; k < sizes_.size(); ++k) {
    core *= ranks[k];
    if (ranks[k] < sizes_[k]) factors += ranks[k] * sizes_[k];
  }
  return core + factors;
}

std::vector<int64_t> TuckerForm::SmallestRanks() const {
  std::vector<int64_t> ones;
  for (size_t k = 0; k < sizes_.size(); ++k) ones.push_back(options_.whole[k] ? sizes_[k] : 1);
  std::vector<int64_t> smallest = ones;
  for (size_t k = 0; k < sizes_.size(); ++k) {
    std::vector<int64_t> ranks = ones;
    ranks[k] = sizes_[k];
    if (Parameters(ranks) < Parameters(smallest)) smallest = ranks;
  }
  return smallest;
}

int64_t TuckerForm::LeastParameters() const { return Parameters(SmallestRanks()); }

std::vector<TuckerForm::Point> TuckerForm::Path(const std::vector<at::Tensor>& spectra) const {
  std::vector<std::vector<double>> tails;  // tails[k][r]: what mode k loses at rank r
  for (const at::Tensor& squares : spectra) {
    const at::Tensor tail = squares.flip(0).cumsum(0).flip(0).contiguous();
    tails.emplace_back(tail.const_data_ptr<double>(), tail.const_data_ptr<double>() + tail.size(0));
    tails.back().push_back(0);
  }
  const auto loss = [&](const std::vector<int64_t>& ranks) {
    double sum = 0;
    for (size_t k = 0; k < ranks.size(); ++k) sum += tails[k][static_cast<size_t>(ranks[k])];
    return sum;
  };
  std::vector<Point> points{{sizes_, Parameters(sizes_), 0}};
  while (true) {
    const Point& now = points.back();
    Point best;
    double least = INFINITY;
    for (size_t k = 0; k < sizes_.size(); ++k) {
      if (options_.whole[k]) continue;
      // No rank above that of the unfolding. The first step of a mode brings a factor with it, so that it has
      // to be a long one: the shortest that saves anything is taken, of the mode whose best step is cheapest.
      const bool first_cut = now.ranks[k] == sizes_[k];
      const int64_t from = std::min(now.ranks[k], dense_parameters() / sizes_[k] + 1);
      Point shortest;
      for (int64_t step = 1; step < from; step += NextStep(step, first_cut, !shortest.ranks.empty())) {
        Point next;
        next.ranks = now.ranks;
        next.ranks[k] = from - step;
        next.parameters = Parameters(next.ranks);
        if (next.parameters >= now.parameters) continue;
        next.loss = loss(next.ranks);
        if (shortest.ranks.empty()) shortest = next;
        const double price = (next.loss - now.loss) / static_cast<double>(now.parameters - next.parameters);
        if (price < least) {
          least = price;
          best = first_cut ? shortest : next;
        }
      }
    }
    if (best.ranks.empty()) break;
    points.push_back(best);
  }
  // The smallest network is on the path, wherever the greedy steps ended.
  Point smallest;
  smallest.ranks = SmallestRanks();
  smallest.parameters = Parameters(smallest.ranks);
  smallest.loss = loss(smallest.ranks);
  if (smallest.parameters < points.back().parameters) points.push_back(smallest);
  // Only what is better than everything smaller.
  std::vector<Point> path;
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    if (path.empty() || point->loss < path.back().loss) path.push_back(std::move(*point));
  }
  return path;
}

RateCurve TuckerForm::Curve(const at::Tensor& matrix) const {
  const at::Tensor t = Unfolded(matrix, legs());
  std::vector<at::Tensor> spectra;
  for (size_t k = 0; k < sizes_.size(); ++k) spectra.push_back(ModeVectors(t, k).second);
  RateCurve curve;
  curve.total = SquaredNorm(matrix);
  curve.effective_rank = std::exp(SpectralEntropy(SquaredSingularValues(matrix)));
  for (const Point& point : Path(spectra)) {
    if (point.parameters >= dense_parameters()) break;
    curve.parameters.push_back(point.parameters);
    curve.loss.push_back(point.loss);
  }
  return curve;
}

std::vector<int64_t> TuckerForm::Ranks(const std::vector<at::Tensor>& spectra, const Amount& amount) const {
  std::vector<int64_t> ranks = sizes_;
  if (amount.rank > 0) {
    const int64_t largest = *std::max_element(sizes_.begin(), sizes_.end());
    if (amount.rank > largest) {
      throw Error(ErrorKind::kUsage, {"the rank is larger than every mode",
                                      "1 to " + std::to_string(largest) + " with modes " + ToString(legs()),
                                      std::to_string(amount.rank), "", "a smaller rank, or keep="});
    }
    for (size_t k = 0; k < ranks.size(); ++k) {
      if (!options_.whole[k]) ranks[k] = std::min(ranks[k], amount.rank);
    }
    return ranks;
  }
  if (amount.error > 0) {
    const auto cut = std::count(options_.whole.begin(), options_.whole.end(), false);
    for (size_t k = 0; k < ranks.size(); ++k) {
      if (options_.whole[k]) continue;
      const double allowed =
          amount.error * amount.error * spectra[k].sum().item<double>() / static_cast<double>(cut);
      const double* squares = spectra[k].const_data_ptr<double>();
      double tail = 0;
      while (ranks[k] > 1 && tail + squares[ranks[k] - 1] <= allowed) tail += squares[--ranks[k]];
    }
    return ranks;
  }
  const double budget = amount.BudgetOf(dense_parameters());
  const std::vector<Point> points = Path(spectra);
  if (static_cast<double>(points.front().parameters) > budget) {
    const auto dense = static_cast<double>(dense_parameters());
    throw Error(ErrorKind::kUsage,
                {"keep is too small for ranks of 1",
                 "at least " + std::to_string(static_cast<double>(points.front().parameters) / dense) +
                     " with modes " + ToString(legs()),
                 std::to_string(budget / dense), "", "a larger keep, or other modes"});
  }
  for (const Point& point : points) {
    if (static_cast<double>(point.parameters) <= budget) ranks = point.ranks;
  }
  return ranks;
}

NetworkCut TuckerForm::Cut(const at::Tensor& matrix, const Amount& amount) const {
  if (!at::isfinite(matrix).all().item<bool>()) {
    throw Error(ErrorKind::kData,
                {"a matrix to be factorized holds NaN or infinity", "", "", "", "check the checkpoint"});
  }
  const at::Tensor t = Unfolded(matrix, legs());
  std::vector<at::Tensor> factors, spectra;
  for (size_t k = 0; k < sizes_.size(); ++k) {
    auto [vectors, squares] = ModeVectors(t, k);
    factors.push_back(vectors);
    spectra.push_back(squares);
  }
  std::vector<int64_t> ranks = Ranks(spectra, amount);
  std::vector<bool> cut(sizes_.size());
  int64_t modes = 0;
  for (size_t k = 0; k < sizes_.size(); ++k) {
    cut[k] = ranks[k] < sizes_[k];
    modes += cut[k] ? 1 : 0;
  }
  // What a mode can keep is bounded by what the other modes keep.
  const auto take = [&](size_t k, const at::Tensor& vectors) {
    ranks[k] = std::min(ranks[k], vectors.size(1));
    factors[k] = vectors.narrow(1, 0, ranks[k]);
  };
  for (size_t k = 0; k < sizes_.size(); ++k) {
    if (cut[k]) take(k, factors[k]);
  }
  const auto project = [&](size_t except) {
    at::Tensor core = t;
    for (size_t k = 0; k < sizes_.size(); ++k) {
      if (cut[k] && k != except) core = TimesFactor(core, k, factors[k]);
    }
    return core;
  };
  for (int64_t sweep = 0; sweep < options_.sweeps && modes > 1; ++sweep) {
    for (size_t k = 0; k < sizes_.size(); ++k) {
      if (cut[k]) take(k, ModeVectors(project(k), k).first);
    }
  }
  NetworkCut result;
  NetworkTensor core;
  core.values = project(sizes_.size()).contiguous();
  for (size_t k = 0; k < sizes_.size(); ++k) {
    const int outer = static_cast<int>(k);
    const int bond = static_cast<int>(bond_leg(k));
    core.legs.push_back(cut[k] ? bond : outer);
    if (cut[k]) result.cores.push_back({factors[k].to(at::kFloat).contiguous(), {outer, bond}});
  }
  result.loss = std::max(0.0, SquaredNorm(matrix) - SquaredNorm(core.values));
  result.cores.push_back(std::move(core));
  // The difference of two sums of squares says nothing about small losses.
  if (result.loss < 1e-4 * SquaredNorm(matrix)) result.loss = MeasuredLoss(matrix, result.cores, legs());
  result.detail = {{"ranks", ranks}, {"modes", ToString(legs())}};
  return result;
}

namespace {

// Modes of a linear, and which of them stay whole.
std::pair<Legs, std::vector<bool>> HeadModes(const LinearSlot& slot, int64_t rows, int64_t cols,
                                             int64_t head) {
  const auto divided = [&](int64_t size) {
    if (size % head != 0) {
      throw Error(ErrorKind::kUsage,
                  {"heads do not fit this linear", "a multiple of the head size " + std::to_string(head),
                   std::to_string(size), "", "head_size=, or modes=balanced"});
    }
    return std::vector<int64_t>{size / head, head};
  };
  switch (slot.kind) {
    case LinearKind::kQ:
    case LinearKind::kK:
    case LinearKind::kV:
      return {{divided(rows), {cols}}, {true, false, false}};
    case LinearKind::kO:
      return {{{rows}, divided(cols)}, {false, true, false}};
    default:
      return {{{rows}, {cols}}, {false, false}};
  }
}

std::unique_ptr<Stage> MakeTucker(const StageValues& values) {
  FactorizerOptions options = OptionsFrom(values, "rank");
  const std::string modes = values.Text("modes");
  const int64_t head = values.Has("head_size") ? values.Integer("head_size") : 0;
  const int64_t sweeps = values.Integer("sweeps");
  options.forms = [=](const LinearSlot& slot, int64_t rows, int64_t cols) {
    TuckerOptions tucker{.sweeps = sweeps, .whole = {}};
    Legs legs;
    if (modes == "heads") {
      std::tie(legs, tucker.whole) = HeadModes(slot, rows, cols, head);
    } else {
      legs = modes == "balanced" ? Legs{BalancedFactors(rows, 2), BalancedFactors(cols, 2)}
                                 : ParseLegs(modes, rows, cols);
    }
    return std::vector<std::shared_ptr<const Form>>{std::make_shared<TuckerForm>(legs, tucker)};
  };
  return MakeFactorizer(std::move(options));
}

}  // namespace

StageEntry TuckerEntry() {
  using Type = ParameterDescription::Type;
  StageDescription description = DescribeFactorization(
      "tucker", "Tucker decomposition: a core tensor and a factor on every mode (HOSVD, then HOOI)", "rank",
      "De Lathauwer, De Moor, Vandewalle 2000; TensorLLM, arXiv 2501.15674");
  description.parameters.push_back({"modes",
                                    Type::kText,
                                    "heads",
                                    "heads (attention: head x head size x hidden, heads whole; others: out x "
                                    "in), balanced (two modes a side), or OUT/IN such as 9x64/576",
                                    0,
                                    0,
                                    {}});
  description.parameters.push_back(
      {"head_size", Type::kInteger, "64", "rows or columns of a head", 1, 1e6, {}, "modes=heads"});
  description.parameters.push_back({"sweeps", Type::kInteger, "2", "rounds of HOOI", 0, 100, {}});
  AddWhitening(description.parameters);
  return {description, &MakeTucker};
}

}  // namespace tnb
