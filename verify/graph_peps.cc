#include "verify/graph_peps.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tnb {
namespace {

using Complex = std::complex<double>;
using Eigen::MatrixXcd;

struct Svd {
  MatrixXcd left, right;  // theta = left diag(values) right^T, thin
  Eigen::VectorXd values;
};

// One-sided Jacobi rotations: Eigen 3.4's divide and conquer gives NaN on some finite matrices (degenerate
// spectra, as at theta = pi/2) and takes most of a minute to compile.
Svd Decompose(const MatrixXcd& theta) {
  const Eigen::JacobiSVD<MatrixXcd> svd(theta, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const Eigen::VectorXd& values = svd.singularValues();
  if (!values.allFinite() || !(values.size() > 0 && values[0] > 0)) {
    throw Error(ErrorKind::kInternal, "the Schmidt decomposition of a bond failed");
  }
  return {svd.matrixU(), svd.matrixV().conjugate(), values};
}

}  // namespace

// The matrices [others, dimension of the leg] of both spins, already weighted, as thin QR. `others` runs over
// the legs before (slow) and after (fast) the one looked from.
struct GraphPeps::View {
  Eigen::Index before = 1, after = 1;
  std::vector<double> weights;  // [before * after]
  MatrixXcd q[2], r[2];
};

GraphPeps::GraphPeps(const Lattice& lattice, int chi, double cutoff)
    : lattice_(lattice), chi_(chi), cutoff_(cutoff), sites_(lattice.sites) {
  if (chi < 1) {
    throw Error(ErrorKind::kUsage, {"no bond dimension", "1 or more", std::to_string(chi), "chi", ""});
  }
  for (size_t bond = 0; bond < lattice.bonds.size(); ++bond) {
    sites_.at(lattice.bonds[bond].first).bonds.push_back(static_cast<int>(bond));
    sites_.at(lattice.bonds[bond].second).bonds.push_back(static_cast<int>(bond));
  }
  for (Site& site : sites_) site.amplitude = {1, 0};
  lambda_.assign(lattice.bonds.size(), {1.0});
}

void GraphPeps::RotateX(double angle) {
  const double cosine = std::cos(angle / 2);
  const Complex sine(0, -std::sin(angle / 2));
  for (Site& site : sites_) {
    const size_t half = site.amplitude.size() / 2;
    for (size_t i = 0; i < half; ++i) {
      const Complex up = site.amplitude[i], down = site.amplitude[half + i];
      site.amplitude[i] = cosine * up + sine * down;
      site.amplitude[half + i] = sine * up + cosine * down;
    }
  }
}

void GraphPeps::CoupleZ(double phase) {
  for (size_t bond = 0; bond < lattice_.bonds.size(); ++bond) Update(static_cast<int>(bond), phase);
}

std::vector<double> GraphPeps::Weights(const Site& site, int skipped_leg) const {
  std::vector<double> weights = {1.0};
  for (size_t leg = 0; leg < site.bonds.size(); ++leg) {
    if (static_cast<int>(leg) == skipped_leg) continue;
    std::vector<double> longer;
    longer.reserve(weights.size() * lambda_[site.bonds[leg]].size());
    for (const double weight : weights) {
      for (const double value : lambda_[site.bonds[leg]]) longer.push_back(weight * value);
    }
    weights = std::move(longer);
  }
  return weights;
}

GraphPeps::View GraphPeps::Look(int number, int bond) const {
  const Site& site = sites_[number];
  const auto found = std::find(site.bonds.begin(), site.bonds.end(), bond);
  const auto leg = static_cast<int>(found - site.bonds.begin());
  View view;
  for (int i = 0; i < static_cast<int>(site.bonds.size()); ++i) {
    if (i != leg) (i < leg ? view.before : view.after) *= static_cast<int>(lambda_[site.bonds[i]].size());
  }
  view.weights = Weights(site, leg);
  const auto dimension = static_cast<Eigen::Index>(lambda_[bond].size());
  const Complex* next = site.amplitude.data();
  for (int spin = 0; spin < 2; ++spin) {
    MatrixXcd matrix(view.before * view.after, dimension);
    for (Eigen::Index p = 0; p < view.before; ++p) {
      for (Eigen::Index b = 0; b < dimension; ++b) {
        for (Eigen::Index q = 0; q < view.after; ++q) {
          const Eigen::Index row = p * view.after + q;
          matrix(row, b) = *next++ * view.weights[row];
        }
      }
    }
    const Eigen::Index rank = std::min(matrix.rows(), dimension);
    const Eigen::HouseholderQR<Eigen::Ref<MatrixXcd>> qr(matrix);  // in place
    view.r[spin] = qr.matrixQR().topRows(rank).triangularView<Eigen::Upper>();
    view.q[spin] = qr.householderQ() * MatrixXcd::Identity(matrix.rows(), rank);
  }
  return view;
}

// The gate is diagonal in both spins, so the QR of a site can be taken spin by spin: the matrix to decompose,
//   theta[(s, x), (t, y)] = exp(i phase z_s z_t) sum_b R_i[s][x, b] lambda_b R_j[t][y, b],
// has 2 chi rows and columns whatever the degree of the sites.
void GraphPeps::Update(int bond, double phase) {
  const int ends[2] = {lattice_.bonds[bond].first, lattice_.bonds[bond].second};
  const View views[2] = {Look(ends[0], bond), Look(ends[1], bond)};
  const Eigen::Map<const Eigen::VectorXd> lambda(lambda_[bond].data(),
                                                 static_cast<Eigen::Index>(lambda_[bond].size()));
  const Eigen::Index rows = views[0].r[0].rows(), cols = views[1].r[0].rows();
  MatrixXcd theta(2 * rows, 2 * cols);
  for (int s = 0; s < 2; ++s) {
    for (int t = 0; t < 2; ++t) {
      const Complex gate = std::polar(1.0, s == t ? phase : -phase);
      theta.block(s * rows, t * cols, rows, cols).noalias() =
          gate * (views[0].r[s] * lambda.asDiagonal()) * views[1].r[t].transpose();
    }
  }
  const Svd svd = Decompose(theta);

  Eigen::Index kept = 0;
  while (kept < std::min<Eigen::Index>(chi_, svd.values.size()) &&
         svd.values[kept] > cutoff_ * svd.values[0]) {
    ++kept;
  }
  const double norm = svd.values.head(kept).norm();
  discarded_ = std::max(discarded_,
                        svd.values.tail(svd.values.size() - kept).squaredNorm() / svd.values.squaredNorm());
  lambda_[bond].resize(kept);
  for (Eigen::Index k = 0; k < kept; ++k) lambda_[bond][k] = svd.values[k] / norm;

  for (int end = 0; end < 2; ++end) {
    const View& view = views[end];
    const MatrixXcd& vectors = end == 0 ? svd.left : svd.right;
    const Eigen::Index block = end == 0 ? rows : cols;
    std::vector<Complex>& amplitude = sites_[ends[end]].amplitude;
    amplitude.resize(2 * view.before * view.after * kept);
    Complex* next = amplitude.data();
    for (int spin = 0; spin < 2; ++spin) {
      const MatrixXcd matrix = view.q[spin] * vectors.block(spin * block, 0, block, kept);
      for (Eigen::Index p = 0; p < view.before; ++p) {
        for (Eigen::Index k = 0; k < kept; ++k) {
          for (Eigen::Index q = 0; q < view.after; ++q) {
            const Eigen::Index row = p * view.after + q;
            *next++ = matrix(row, k) / view.weights[row];
          }
        }
      }
    }
  }
}

double GraphPeps::Z(int number) const {
  const Site& site = sites_.at(number);
  const std::vector<double> weights = Weights(site, -1);
  double up = 0, down = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    up += std::norm(site.amplitude[i] * weights[i]);
    down += std::norm(site.amplitude[weights.size() + i] * weights[i]);
  }
  return (up - down) / (up + down);
}

double GraphPeps::MeanZ() const {
  double sum = 0;
  for (int site = 0; site < lattice_.sites; ++site) sum += Z(site);
  return sum / lattice_.sites;
}

int GraphPeps::LargestBond() const {
  size_t largest = 1;
  for (const auto& lambda : lambda_) largest = std::max(largest, lambda.size());
  return static_cast<int>(largest);
}

}  // namespace tnb
