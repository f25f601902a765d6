#include "methods/factorize/peps.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "methods/factorize/alternating.h"
#include "methods/factorize/factorizer.h"

namespace tnb {

PepsForm::PepsForm(Legs legs, int64_t sweeps) : SizedForm(std::move(legs), "bond"), sweeps_(sweeps) {}

int64_t PepsForm::site(int64_t column, int64_t row) const {
  const auto k = static_cast<size_t>(2 * column + row);
  return legs().out[k] * legs().in[k];
}

PepsForm::Bonds PepsForm::BondsFor(int64_t bond) const {
  Bonds bonds;
  const int64_t count = columns();
  int64_t left_upper = 1, left_lower = 1, left = 1;
  for (int64_t column = 0; column < count; ++column) {
    int64_t right = 1;
    for (int64_t k = column + 1; k < count; ++k) right *= site(k, 0) * site(k, 1);
    left *= site(column, 0) * site(column, 1);
    int64_t upper = 1, lower = 1;
    if (column + 1 < count) {
      // The values of the cut, dealt out to a rectangle of two bonds that is as square as may be.
      left = std::min(left, right);
      if (bond < left && bond * bond < left) left = bond * bond;
      upper = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(left))));
      while (upper * upper < left) ++upper;
      lower = (left + upper - 1) / upper;
      bonds.upper.push_back(upper);
      bonds.lower.push_back(lower);
    }
    bonds.inside.push_back(
        std::min({bond, left_upper * site(column, 0) * upper, left_lower * site(column, 1) * lower}));
    left_upper = upper;
    left_lower = lower;
  }
  return bonds;
}

int64_t PepsForm::LargestSize() const {
  // No bond is larger than the whole side of a cut.
  const Bonds bonds = BondsFor(dense_parameters());
  int64_t largest = *std::max_element(bonds.inside.begin(), bonds.inside.end());
  for (const auto* side : {&bonds.upper, &bonds.lower}) {
    for (const int64_t bond : *side) largest = std::max(largest, bond);
  }
  return largest;
}

int64_t PepsForm::Parameters(int64_t bond) const {
  const Bonds bonds = BondsFor(bond);
  int64_t total = 0, upper = 1, lower = 1;
  for (int64_t column = 0; column < columns(); ++column) {
    const auto c = static_cast<size_t>(column);
    const int64_t right_upper = c < bonds.upper.size() ? bonds.upper[c] : 1;
    const int64_t right_lower = c < bonds.lower.size() ? bonds.lower[c] : 1;
    total +=
        bonds.inside[c] * (upper * right_upper * site(column, 0) + lower * right_lower * site(column, 1));
    upper = right_upper;
    lower = right_lower;
  }
  return total;
}

NetworkCut PepsForm::CutTo(const at::Tensor& matrix, int64_t bond, double norm) const {
  const auto count = static_cast<size_t>(columns());
  // An error is spread over all cuts: it is met from above, bonds are not dealt out exactly.
  if (bond == 0) {
    NetworkCut best;
    int64_t low = 1, high = LargestSize();
    while (low <= high) {
      const int64_t middle = (low + high) / 2;
      NetworkCut cut = CutTo(matrix, middle, 0);
      if (std::sqrt(cut.loss) <= norm) {
        best = std::move(cut);
        high = middle - 1;
      } else {
        low = middle + 1;
      }
    }
    if (best.cores.empty()) {
      throw Error(ErrorKind::kUsage,
                  {"this error cannot be reached in fp32", "error=1e-5 or more", "", "", ""});
    }
    return best;
  }
  // T[column 1, column 2, ..], a column being its (o o i i).
  const auto sites = static_cast<int64_t>(legs().out.size());
  std::vector<int64_t> order;
  for (int64_t k = 0; k < sites; k += 2) {
    for (const int64_t leg : {k, sites + k, k + 1, sites + k + 1}) order.push_back(leg);
  }
  at::Tensor rest = Unfolded(matrix, legs()).permute(order).contiguous();
  const Bonds bonds = BondsFor(bond);
  NetworkCut cut;
  int64_t upper = 1, lower = 1;
  double entropy = 0;
  at::Tensor left_gauge;  // square roots of the values of the bond to the left
  for (size_t c = 0; c < count; ++c) {
    const auto column = static_cast<int64_t>(c);
    const int64_t top = site(column, 0), bottom = site(column, 1);
    const int64_t right_upper = c + 1 < count ? bonds.upper[c] : 1;
    const int64_t right_lower = c + 1 < count ? bonds.lower[c] : 1;
    at::Tensor core = rest.reshape({upper * lower, -1}), gauge;
    if (c + 1 < count) {
      const at::Tensor cut_matrix = rest.reshape({upper * lower * top * bottom, -1});
      const int64_t values = right_upper * right_lower;
      const TruncatedSvd svd = Truncate(cut_matrix, values);
      if (c == (count - 1) / 2) entropy = SpectralEntropy(SquaredSingularValues(cut_matrix));
      // What is missing for a rectangle of bonds is zero.
      const int64_t missing = values - svd.values.size(0);
      gauge = at::constant_pad_nd(svd.values.sqrt(), {0, missing});
      core = at::constant_pad_nd(svd.left, {0, missing}) * gauge;
      rest = at::constant_pad_nd(svd.values.unsqueeze(1) * svd.right, {0, 0, 0, missing});
    }
    // Both columns of a bond see its values, so that cutting a column costs most where the matrix is large.
    if (left_gauge.defined()) {
      const at::Tensor inverse =
          at::where(left_gauge > 0, left_gauge.reciprocal(), at::zeros_like(left_gauge));
      core = core.reshape({upper * lower, -1}) * inverse.unsqueeze(1);
    }
    left_gauge = gauge;
    // [upper, lower, top, bottom, right upper, right lower] -> the two sites.
    const at::Tensor both =
        core.reshape({upper, lower, top, bottom, right_upper, right_lower}).permute({0, 2, 4, 1, 3, 5});
    const TruncatedSvd svd = Truncate(both.reshape({upper * top * right_upper, -1}), bonds.inside[c]);
    const at::Tensor root = svd.values.sqrt();
    const int64_t inside = svd.values.size(0);
    const at::Tensor parts[2] = {
        (svd.left * root).reshape({upper, top, right_upper, inside}),
        (root.unsqueeze(1) * svd.right).reshape({inside, lower, bottom, right_lower}).permute({1, 2, 3, 0})};
    for (size_t row = 0; row < 2; ++row) {
      const size_t k = 2 * c + row;
      // Bonds to the right: upper 2 c, lower 2 c + 1; inside a column: behind these.
      NetworkTensor tensor;
      std::vector<int64_t> shape;
      const auto add = [&](int64_t leg, int64_t size) {
        tensor.legs.push_back(static_cast<int>(leg));
        shape.push_back(size);
      };
      if (c > 0) add(bond_leg(2 * (c - 1) + row), parts[row].size(0));
      add(out_leg(k), legs().out[k]);
      add(in_leg(k), legs().in[k]);
      if (c + 1 < count) add(bond_leg(2 * c + row), parts[row].size(2));
      add(bond_leg(2 * count + c), inside);
      tensor.values = parts[row].reshape(shape).contiguous();
      cut.cores.push_back(std::move(tensor));
    }
    upper = right_upper;
    lower = right_lower;
  }
  if (sweeps_ > 0) AlternatingLeastSquares(matrix, legs(), sweeps_, cut.cores);
  cut.loss = MeasuredLoss(matrix, cut.cores, legs());
  cut.detail = {{"bond", bond},           {"across", bonds.upper},    {"across_lower", bonds.lower},
                {"inside", bonds.inside}, {"legs", ToString(legs())}, {"entropy", entropy}};
  return cut;
}

namespace {

std::unique_ptr<Stage> MakePeps(const StageValues& values) {
  FactorizerOptions options = OptionsFrom(values, "bond");
  const int64_t columns = values.Integer("columns");
  const std::string text = values.Text("legs");
  const int64_t sweeps = values.Integer("sweeps");
  options.forms = [=](const LinearSlot&, int64_t rows, int64_t cols) {
    return std::vector<std::shared_ptr<const Form>>{
        std::make_shared<PepsForm>(ChooseLegs(text, 2 * columns, rows, cols), sweeps)};
  };
  return MakeFactorizer(std::move(options));
}

}  // namespace

StageEntry PepsEntry() {
  using Type = ParameterDescription::Type;
  StageDescription description = DescribeFactorization(
      "peps", "a grid of 2 x N tensors (projected entangled pair state), a reading of KARIPAP", "bond",
      "KARIPAP, arXiv 2510.21844, as docs/methods.md reads it");
  description.parameters.push_back({"columns", Type::kInteger, "2", "columns of the grid", 2, 6, {}});
  description.parameters.push_back({"legs",
                                    Type::kText,
                                    "auto",
                                    "auto (balanced factors), or out/in legs, column by column, such as "
                                    "4x6x4x6/4x6x4x6",
                                    0,
                                    0,
                                    {}});
  description.parameters.push_back(
      {"sweeps", Type::kInteger, "2", "rounds of alternating least squares", 0, 100, {}});
  AddPermutation(description.parameters);
  AddWhitening(description.parameters);
  return {description, &MakePeps};
}

}  // namespace tnb
