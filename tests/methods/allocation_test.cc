#include "methods/allocate/allocation.h"

#include <cmath>
#include <numeric>
#include <random>

#include "base/error.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

// A matrix of `rows` x `cols` whose singular values fall as k^-power: low rank below the dense matrix.
RateCurve Curve(const std::string& name, int64_t rows, int64_t cols, double power, double scale = 1) {
  RateCurve curve;
  curve.name = name;
  const int64_t rank = std::min(rows, cols);
  std::vector<double> tail(static_cast<size_t>(rank) + 1, 0.0);
  for (int64_t k = rank; k-- > 0;) {
    tail[static_cast<size_t>(k)] = tail[static_cast<size_t>(k) + 1] + scale * std::pow(k + 1.0, -2 * power);
  }
  curve.total = tail[0];
  for (int64_t r = 1; r * (rows + cols) < rows * cols; ++r) {
    curve.parameters.push_back(r * (rows + cols));
    curve.loss.push_back(tail[static_cast<size_t>(r)]);
  }
  curve.parameters.push_back(rows * cols);
  curve.loss.push_back(0);
  return curve;
}

int64_t Parameters(const std::vector<RateCurve>& curves, const std::vector<size_t>& choice) {
  int64_t total = 0;
  for (size_t i = 0; i < curves.size(); ++i) total += curves[i].parameters[choice[i]];
  return total;
}

double Loss(const std::vector<RateCurve>& curves, const std::vector<size_t>& choice) {
  double total = 0;
  for (size_t i = 0; i < curves.size(); ++i) total += curves[i].loss[choice[i]];
  return total;
}

int64_t Dense(const std::vector<RateCurve>& curves) {
  return std::accumulate(curves.begin(), curves.end(), int64_t{0},
                         [](int64_t sum, const RateCurve& curve) { return sum + curve.parameters.back(); });
}

}  // namespace

TEST_CASE("budgets are met within one percent and never exceeded") {
  std::vector<RateCurve> curves;
  std::mt19937 random(3);
  for (int i = 0; i < 60; ++i) {
    const bool wide = i % 3 == 0;
    curves.push_back(Curve("w" + std::to_string(i), wide ? 192 : 576, 576, 0.2 + 0.02 * i,
                           std::exponential_distribution<double>(1.0)(random)));
  }
  for (const Allocation allocation : {Allocation::kEnergy, Allocation::kThreshold}) {
    for (const double keep : {0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0}) {
      const auto budget = static_cast<int64_t>(keep * static_cast<double>(Dense(curves)));
      const int64_t spent = Parameters(curves, Allocate(allocation, curves, budget));
      CAPTURE(static_cast<int>(allocation), keep);
      CHECK(spent <= budget);
      CHECK(static_cast<double>(spent) >= 0.99 * static_cast<double>(budget));
    }
  }
}

TEST_CASE("the threshold is as good as trying everything, but for what one step is worth") {
  std::mt19937 random(9);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<RateCurve> curves;
    for (int i = 0; i < 3; ++i) {
      curves.push_back(Curve("w", 12 + 4 * i, 16, std::uniform_real_distribution<double>(0.1, 1.5)(random),
                             std::exponential_distribution<double>(1.0)(random)));
    }
    const int64_t budget = Dense(curves) * 6 / 10;
    double least = INFINITY;
    std::vector<size_t> point(3, 0);
    for (point[0] = 0; point[0] < curves[0].loss.size(); ++point[0]) {
      for (point[1] = 0; point[1] < curves[1].loss.size(); ++point[1]) {
        for (point[2] = 0; point[2] < curves[2].loss.size(); ++point[2]) {
          if (Parameters(curves, point) <= budget) least = std::min(least, Loss(curves, point));
        }
      }
    }
    const double found = Loss(curves, Allocate(Allocation::kThreshold, curves, budget));
    double step = 0;  // the largest gain of one rank beyond the first few, at most one of which is missed
    for (const RateCurve& curve : curves) step = std::max(step, curve.loss[0] - curve.loss[1]);
    CAPTURE(trial, least);
    CHECK(found >= least - 1e-12);
    CHECK(found <= least + step);
    // Uniform ranks are never better.
    std::vector<size_t> uniform;
    for (const RateCurve& curve : curves) {
      size_t i = 0;
      while (i + 1 < curve.parameters.size() && curve.parameters[i + 1] * 10 <= curve.parameters.back() * 6)
        ++i;
      uniform.push_back(i);
    }
    CHECK(found <= Loss(curves, uniform) + 1e-12);
  }
}

TEST_CASE("a matrix stays dense where factorizing does not pay") {
  // Flat spectrum and a large weight, beside one that decays at once.
  const std::vector<RateCurve> curves = {Curve("flat", 64, 64, 0, 10), Curve("steep", 64, 64, 3, 1)};
  const auto choice = Allocate(Allocation::kThreshold, curves, 64 * 64 * 5 / 4);
  CHECK(choice[0] + 1 == curves[0].parameters.size());
  CHECK(curves[1].parameters[choice[1]] <= 64 * 64 / 4);
  CHECK(Allocate(Allocation::kThreshold, curves, 2 * 64 * 64) ==
        std::vector<size_t>{curves[0].parameters.size() - 1, curves[1].parameters.size() - 1});
}

TEST_CASE("energy gives all the same relative loss, whatever their scale") {
  const std::vector<RateCurve> curves = {Curve("a", 200, 200, 0.5, 1), Curve("b", 200, 200, 0.5, 1e6),
                                         Curve("c", 200, 200, 1.0, 1)};
  const auto choice = Allocate(Allocation::kEnergy, curves, 200 * 200);
  CHECK(std::abs(static_cast<int>(choice[0]) - static_cast<int>(choice[1])) <= 1);
  CHECK(choice[2] < choice[0]);
}

TEST_CASE("impossible budgets and broken curves are refused") {
  const std::vector<RateCurve> curves = {Curve("a", 10, 10, 1)};
  CHECK_THROWS_WITH(Allocate(Allocation::kThreshold, curves, 19), Catch::Matchers::Contains("at least 0.2"));
  RateCurve broken = curves[0];
  broken.loss[1] = NAN;
  CHECK_THROWS_WITH(Allocate(Allocation::kThreshold, {broken}, 50), Catch::Matchers::Contains("not finite"));
  CHECK_THROWS_WITH(Allocate(Allocation::kUniform, curves, 19), Catch::Matchers::Contains("at least 0.2"));
  CHECK_THROWS_WITH(AllocationFrom("even"), Catch::Matchers::Contains("uniform, energy, threshold or drank"));
  // Nothing to lose: the smallest do.
  RateCurve zero = curves[0];
  std::fill(zero.loss.begin(), zero.loss.end(), 0.0);
  zero.total = 0;
  CHECK(Allocate(Allocation::kThreshold, {zero}, 60) == std::vector<size_t>{0});
  CHECK(Allocate(Allocation::kEnergy, {zero}, 60) == std::vector<size_t>{0});
}

TEST_CASE("D-Rank minimizes the sum of effective rank over rank") {
  // Ranks cost 10 and 40 parameters; effective ranks 4 and 9: k = c sqrt(R / w), 2 / sqrt(10) to 3 /
  // sqrt(40).
  RateCurve small{"small", {}, {}, 1, 4}, large{"large", {}, {}, 1, 9};
  for (int64_t k = 1; k <= 400; ++k) {
    small.parameters.push_back(10 * k);
    large.parameters.push_back(40 * k);
    small.loss.push_back(400 - static_cast<double>(k));
    large.loss.push_back(400 - static_cast<double>(k));
  }
  const auto choice = Allocate(Allocation::kDRank, {small, large}, 8000);
  const auto ratio = static_cast<double>(choice[0] + 1) / static_cast<double>(choice[1] + 1);
  CHECK(ratio == Approx(2.0 / std::sqrt(10) / (3.0 / std::sqrt(40))).epsilon(0.05));
  CHECK(10 * (choice[0] + 1) + 40 * (choice[1] + 1) <= 8000U);
  CHECK(10 * (choice[0] + 1) + 40 * (choice[1] + 1) >= 7950U);
}

TEST_CASE("a uniform allocation passes on what rounding leaves over") {
  std::vector<RateCurve> curves;
  for (int i = 0; i < 40; ++i) curves.push_back({"c", {70, 140, 210, 280}, {3, 2, 1, 0}, 4, 0});
  // Half of each would be 140; 51 % rounds down to it, and 40 roundings are four steps.
  const auto choice = Allocate(Allocation::kUniform, curves, static_cast<int64_t>(0.51 * 40 * 280));
  int64_t total = 0;
  for (size_t i = 0; i < choice.size(); ++i) total += curves[i].parameters[choice[i]];
  CHECK(total > 0.51 * 40 * 280 - 70);
  CHECK(total <= 0.51 * 40 * 280);
}

}  // namespace tnb
