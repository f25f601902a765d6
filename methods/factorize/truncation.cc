#include "methods/factorize/truncation.h"

#include <ATen/ATen.h>

#include <Eigen/SVD>
#include <cmath>
#include <optional>

#include "methods/factorize/filtered.h"
#include "methods/factorize/randomized.h"
#include "models/engine/ops.h"

namespace tnb {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

std::tuple<at::Tensor, at::Tensor, at::Tensor> Jacobi(const at::Tensor& matrix) {
  const at::Tensor input = matrix.contiguous();
  const Eigen::Map<const RowMajor> map(input.const_data_ptr<float>(), input.size(0), input.size(1));
  const Eigen::JacobiSVD<RowMajor, Eigen::HouseholderQRPreconditioner> svd(
      map, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const auto copy = [](const RowMajor& m) {
    at::Tensor t = at::empty({m.rows(), m.cols()}, at::kFloat);
    Eigen::Map<RowMajor>(t.mutable_data_ptr<float>(), m.rows(), m.cols()) = m;
    return t;
  };
  at::Tensor values = at::empty({svd.singularValues().size()}, at::kFloat);
  Eigen::Map<Eigen::VectorXf>(values.mutable_data_ptr<float>(), values.size(0)) = svd.singularValues();
  return {copy(svd.matrixU()), values, copy(RowMajor(svd.matrixV().transpose()))};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> Decompose(const at::Tensor& matrix) {
  try {
    auto [left, values, right] = at::linalg_svd(matrix, /*full_matrices=*/false);
    if (at::isfinite(values).all().item<bool>() && at::isfinite(left).all().item<bool>() &&
        at::isfinite(right).all().item<bool>()) {
      return {left, values, right};
    }
  } catch (const c10::Error&) {
    // LAPACK did not converge.
  }
  return Jacobi(matrix);
}

// From this many rows and columns on the leading part is computed alone: 3 to 6 times as fast.
constexpr int64_t kWorthwhile = 96;
// From this many on the Gram matrix is taken in fp32 at first: four times as fast as in fp64.
constexpr int64_t kLarge = 1536;
// Squares of singular values below this part of the largest one drown in the rounding of a Gram matrix in
// fp32 (1e-7 of its largest eigenvalue) and in fp64.
constexpr double kVisible = 1e-4, kVisibleExact = 1e-11;

// The Gram matrix of the shorter side in fp64.
at::Tensor SmallerGram(const at::Tensor& matrix) {
  const at::Tensor exact = matrix.to(at::kDouble);
  return exact.size(0) <= exact.size(1) ? at::matmul(exact, exact.t()) : at::matmul(exact.t(), exact);
}

// A Gram matrix in bf16 serves where at least this part of the squares is cut: its rounding, and that of what
// is computed from it, moves some 1e-5 of all squares.
constexpr double kRough = 1e-2;

// Orthonormal columns that span what y [rows, k] spans, of columns that are nearly orthogonal and differ in
// length by not much more than ten times: what the Gram matrix loses is 1e-5 then. Householder's QR takes
// twice as long.
at::Tensor NearlyOrthonormal(const at::Tensor& y) {
  const at::Tensor factor = at::linalg_cholesky(Gram(y.t()).to(at::kDouble)).to(at::kFloat);
  return at::linalg_solve_triangular(factor, y.t().contiguous(), /*upper=*/false).t();
}

// Columns that span the `rank` leading eigenvectors of the smaller Gram matrix, taken in `precision`;
// undefined: values at the cut are too small to be seen in it. `filtered`: these are of filtered.h.
struct LeadingVectors {
  at::Tensor columns;
  bool filtered = false;
};
LeadingVectors LeadingOf(const at::Tensor& matrix, int64_t rank, at::ScalarType precision) {
  const bool wide = matrix.size(0) <= matrix.size(1);
  const at::Tensor gram =
      precision == at::kDouble ? SmallerGram(matrix) : Gram((wide ? matrix : matrix.t()).to(precision));
  if (precision != at::kDouble && gram.size(0) >= kWorthFiltering) {
    if (const auto found = FilteredVectors(gram, rank)) return {*found, true};
  }
  if (precision == at::kBFloat16) return {};
  const auto [squares, vectors] = at::linalg_eigh(gram);
  const int64_t full = squares.size(0);
  if (!at::isfinite(squares).all().item<bool>()) return {};
  const double visible = precision == at::kDouble ? kVisibleExact : kVisible;
  if (!(squares[full - rank].item<double>() > visible * squares[full - 1].item<double>())) return {};
  return {vectors.narrow(1, full - rank, rank).flip(1).to(at::kFloat).contiguous()};
}

// The leading part from the eigenvectors of the smaller Gram matrix, in a fraction of the time. The left
// factor is orthonormal and the rest is the projection onto it, so that the discarded squares are exactly the
// error; what the rounding of the Gram matrix costs is a subspace that is optimal to about 1e-6 of the total.
// None where values at the cut are too small to be seen.
std::optional<TruncatedSvd> Leading(const at::Tensor& matrix, int64_t rank, at::ScalarType precision) {
  const bool wide = matrix.size(0) <= matrix.size(1);
  try {
    const LeadingVectors leading = LeadingOf(matrix, rank, precision);
    if (!leading.columns.defined()) return std::nullopt;
    TruncatedSvd result;
    result.left = leading.columns;
    if (!wide) {
      const at::Tensor y = TimesTransposed(matrix, leading.columns.t());
      result.left = leading.filtered ? NearlyOrthonormal(y) : Orthonormal(y);
    }
    const at::Tensor rest = TimesTransposed(result.left.t(), matrix.t());
    const at::Tensor squares = rest.square().sum(1, false, at::kDouble);
    result.values = squares.sqrt().to(at::kFloat);
    result.right = rest / result.values.unsqueeze(1);
    if (!at::isfinite(result.right).all().item<bool>()) return std::nullopt;
    // The projection is orthogonal to the rest; a difference would lose it where it is small.
    const double total = matrix.square().sum(at::kDouble).item<double>();
    result.discarded_squares = total - squares.sum().item<double>();
    if (!(result.discarded_squares > kRough * total)) {
      if (precision == at::kBFloat16) return std::nullopt;
      result.discarded_squares =
          (matrix - at::matmul(result.left, rest)).square_().sum(at::kDouble).item<double>();
    }
    return result;
  } catch (const c10::Error&) {
    return std::nullopt;  // LAPACK did not converge
  }
}

}  // namespace

TruncatedSvd Truncate(const at::Tensor& matrix, int64_t rank, double discarded_norm) {
  if (!at::isfinite(matrix).all().item<bool>()) {
    throw Error(ErrorKind::kData,
                {"a matrix to be factorized holds NaN or infinity", "", "", "", "check the checkpoint"});
  }
  const int64_t least = std::min(matrix.size(0), matrix.size(1));
  const bool partial = 0 < rank && rank < least && matrix.scalar_type() == at::kFloat;
  if (partial && least >= kWorthFiltering) {
    if (auto leading = Leading(matrix, rank, at::kBFloat16)) return *std::move(leading);
  }
  if (FewValues(matrix.size(0), matrix.size(1), rank)) {
    if (std::optional<TruncatedSvd> result = RandomizedSvd(matrix, rank)) return *std::move(result);
  }
  if (partial && least >= kWorthwhile) {
    if (least >= kLarge) {
      if (auto leading = Leading(matrix, rank, at::kFloat)) return *std::move(leading);
    }
    if (auto leading = Leading(matrix, rank, at::kDouble)) return *std::move(leading);
  }
  const auto [left, values, right] = Decompose(matrix);
  const at::Tensor squares = values.to(at::kDouble).square();
  const int64_t full = values.size(0);
  if (rank == 0) {
    double tail = 0;
    rank = full;
    while (rank > 1) {
      tail += squares[rank - 1].item<double>();
      if (std::sqrt(tail) > discarded_norm) break;
      --rank;
    }
  }
  rank = std::min(rank, full);
  TruncatedSvd result;
  result.left = left.narrow(1, 0, rank);
  result.values = values.narrow(0, 0, rank);
  result.right = right.narrow(0, 0, rank);
  result.discarded_squares = squares.narrow(0, rank, full - rank).sum().item<double>();
  return result;
}

at::Tensor SquaredSingularValues(const at::Tensor& matrix) {
  try {
    const at::Tensor squares = at::linalg_eigvalsh(SmallerGram(matrix)).flip(0).clamp_min(0);
    if (at::isfinite(squares).all().item<bool>()) return squares;
  } catch (const c10::Error&) {
    // LAPACK did not converge.
  }
  return Truncate(matrix, 0).values.to(at::kDouble).square();
}

double SpectralEntropy(const at::Tensor& squares) {
  const double total = squares.sum().item<double>();
  if (total <= 0) return 0;
  const at::Tensor p = squares / total;
  return -at::xlogy(p, p).sum().item<double>();
}

Amount AmountFrom(const StageValues& values, const std::string& rank_name) {
  Amount amount;
  if (values.Has(rank_name)) amount.rank = values.Integer(rank_name);
  if (values.Has("keep")) amount.keep = values.Real("keep");
  if (values.Has("error")) amount.error = values.Real("error");
  if (values.Has("budget")) amount.budget = values.Real("budget");
  if (values.Has("budget_bytes")) amount.budget_bytes = values.Real("budget_bytes");
  if (values.Has("profile")) amount.profile = values.Text("profile");
  return amount;
}

std::vector<ParameterDescription> AmountParameters(const std::string& rank_name) {
  using Type = ParameterDescription::Type;
  const std::string what = rank_name == "rank"    ? "rank"
                           : rank_name == "terms" ? "number of terms"
                                                  : "bond dimension";
  std::vector<ParameterDescription> parameters = {
      {"keep", Type::kReal, "0.6", "fraction of each matrix's parameters that remain", 1e-4, 1, {}},
      {rank_name, Type::kInteger, "", "instead of keep: the same " + what + " for every matrix", 1, 1e6, {}},
      {"error",
       Type::kReal,
       "",
       "instead of keep: relative Frobenius error allowed for every matrix",
       1e-7,
       1,
       {}}};
  parameters.push_back({"budget",
                        Type::kReal,
                        "",
                        "instead of keep: what is left of the parameters of the whole model (but its norms), "
                        "all stages counted",
                        0.001,
                        1,
                        {}});
  parameters.push_back({"budget_bytes",
                        Type::kReal,
                        "",
                        "instead of keep: what is left of its bytes in 16 bits, later stages such as int8 "
                        "counted",
                        0.001,
                        2,
                        {}});
  parameters.push_back({"profile",
                        Type::kText,
                        "",
                        "instead of keep: a JSON file with the fraction to keep of every linear, "
                        "{\"blocks.0.q\": 0.6}; 1 leaves it dense",
                        0,
                        0,
                        {}});
  for (ParameterDescription& parameter : parameters) parameter.alternatives = "how much to keep";
  return parameters;
}

}  // namespace tnb
