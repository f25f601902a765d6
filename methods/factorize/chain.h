// Chains: a matrix as a matrix product operator (tensor train of its rearrangement), as CompactifAI (arXiv
// 2401.14109) describes it, or, closed to a ring, as a tensor ring (TR-SVD, arXiv 1606.05535).
//
// W[(o1..oK), (i1..iK)] is read as T[(o1 i1), (o2 i2), ..., (oK iK)] and cut by K - 1 singular value
// decompositions from left to right, the largest chi values kept at each. Every cut works on what the cuts
// before left over, so that the squared error is exactly the sum of all discarded squares. Parameters: sum of
// r(k-1) o(k) i(k) r(k), r(0) = r(K) = the closing bond, 1 for a chain with open ends.
//
// A ring splits the first cut's values over two bonds: r(0) of them go round to the last core.
//
// Low rank is the chain with legs (m, 1) x (1, n); a sum of Kronecker products is any chain of two cores (Van
// Loan and Pitsianis 1993).
#pragma once

#include "methods/factorize/form.h"

namespace tnb {

struct ChainOptions {
  int64_t closing = 1;
  // Alternating least squares after the cuts, there and back: each core in turn becomes the best one for the
  // others, the rest being orthonormal (a ring: by its normal equations).
  int64_t sweeps = 0;
  std::string size_name = "chi";
};

class ChainForm : public SizedForm {
 public:
  ChainForm(Legs legs, ChainOptions options);

  int64_t LargestSize() const override;
  int64_t Parameters(int64_t chi) const override;
  // From the spectra of all cuts of the matrix as it is: exact for two cores, an upper bound for more. A ring
  // is measured.
  RateCurve Curve(const at::Tensor& matrix) const override;
  // Two cores by a random range instead of singular vectors.
  NetworkCut Sketch(const at::Tensor& matrix, const Amount& amount) const override;
  // Oseledets 2011, algorithm 2: orthonormal from the right, then cut from the left. Open ends only.
  std::optional<NetworkCut> Round(const Linear& linear, const Amount& amount) const override;
  // Bond dimensions at which nothing is cut.
  std::vector<int64_t> ExactBonds() const;

 protected:
  NetworkCut CutTo(const at::Tensor& matrix, int64_t chi, double norm) const override;

 private:
  at::Tensor Interleaved(const at::Tensor& w) const;
  NetworkTensor Named(const at::Tensor& core, size_t k) const;
  // The cores [left, o i, right] of a chain with these legs; nothing for another network.
  std::optional<std::vector<at::Tensor>> CoresOf(const Linear& linear) const;
  // Names, detail for the record; `cores` are [left, o i, right].
  void Finish(const std::vector<at::Tensor>& cores, NetworkCut& cut) const;
  void Sweep(const at::Tensor& t, std::vector<at::Tensor>& cores) const;

  ChainOptions options_;
};

std::vector<std::shared_ptr<const Form>> Chains(const std::vector<Legs>& legs, const ChainOptions& options);

}  // namespace tnb
