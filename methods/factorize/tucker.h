// tucker: a core tensor with a factor matrix on every mode (HOSVD, De Lathauwer, De Moor and Vandewalle 2000;
// HOOI by the same authors).
//
// W is read as T[modes of the rows, modes of the columns]. Factor U(k) [n(k), r(k)] has the leading left
// singular vectors of the mode-k unfolding, the core is G = T x1 U1ᵀ x2 U2ᵀ ... A mode that keeps its full
// size has no factor. Parameters: prod r(k) + sum over the modes that are cut of n(k) r(k). The squared error
// is |T|^2 - |G|^2.
//
// modes=heads reads q, k and v as [head, head size, in] and o as [out, head, head size]: the matrices of all
// heads stacked, their factors shared, the head mode left whole (TensorLLM, arXiv 2501.15674, which also
// stacks q, k, v and o of a layer: here every linear is a network of its own). The other linears are [out,
// in] then: low rank with one factor inside the core.
//
// How a budget is spent on ranks: from the whole tensor downwards, the mode is cut next where the squares
// lost (of the HOSVD) a parameter saved are fewest.
#pragma once

#include "methods/factorize/form.h"
#include "methods/stage.h"

namespace tnb {

StageEntry TuckerEntry();

struct TuckerOptions {
  int64_t sweeps = 2;            // of HOOI: each factor in turn becomes the best one for the others
  std::vector<bool> whole = {};  // modes that are never cut (out legs, then in legs); empty: none
};

class TuckerForm : public Form {
 public:
  TuckerForm(Legs legs, TuckerOptions options);

  int64_t Parameters(const std::vector<int64_t>& ranks) const;
  int64_t LeastParameters() const override;
  // Amount::rank: the same for every mode, as far as the modes go.
  NetworkCut Cut(const at::Tensor& matrix, const Amount& amount) const override;
  std::vector<int64_t> Sizes(const at::Tensor& matrix) const override { return Curve(matrix).parameters; }
  RateCurve Curve(const at::Tensor& matrix) const override;

 private:
  // One, or a mode's whole size where that needs less: a mode that is left whole needs no factor.
  std::vector<int64_t> SmallestRanks() const;
  struct Point {
    std::vector<int64_t> ranks;
    int64_t parameters = 0;
    double loss = 0;  // sum of the squares that the HOSVD discards: an upper bound
  };
  // Ever larger networks with ever smaller losses.
  std::vector<Point> Path(const std::vector<at::Tensor>& spectra) const;
  std::vector<int64_t> Ranks(const std::vector<at::Tensor>& spectra, const Amount& amount) const;

  TuckerOptions options_;
  std::vector<int64_t> sizes_;
};

}  // namespace tnb
