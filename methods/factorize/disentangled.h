// A matrix product operator between layers of orthogonal gates, W ≈ U M Vᵀ: tensor-network disentanglers
// (Aizpurua, Jahromi, Singh and Orus, arXiv 2410.17397), with everything stored as ordinary numbers.
//
// U works on the out legs, V on the in legs: each is a brick wall of gates, orthogonal matrices over two
// neighboring legs, odd layers shifted by one leg. They are found as in the paper's appendix: M becomes the
// truncation of Uᵀ W V, then every gate in turn the orthogonal matrix with the largest overlap with its
// environment (the polar factor), which is the best one for the others; and again. Because the gates are
// orthogonal the squared error is still the sum of the squares that the truncation discards.
//
// The paper runs the circuits on a quantum computer and does not count them, and chooses legs of 2; here a
// gate over legs a and b costs (a b)^2 parameters, which have to pay for themselves.
#pragma once

#include "methods/factorize/chain.h"

namespace tnb {

class DisentangledForm : public SizedForm {
 public:
  // Three legs or more a side: two would make a gate as large as the matrix.
  DisentangledForm(Legs legs, int64_t layers);

  int64_t LargestSize() const override { return chain_.LargestSize(); }
  int64_t Parameters(int64_t chi) const override { return chain_.Parameters(chi) + gates_; }
  int64_t gate_parameters() const { return gates_; }

 protected:
  NetworkCut CutTo(const at::Tensor& matrix, int64_t chi, double norm) const override;

 private:
  // One gate: the first of its two legs, and the matrix [new, old].
  struct Gate {
    int64_t leg = 0;
    at::Tensor matrix;
  };
  using Circuit = std::vector<Gate>;  // in the order in which they act on M

  Circuit Identity(const std::vector<int64_t>& legs) const;
  // Adds the gates of one side to the cores of M: outermost first. Returns the legs that M has there.
  std::vector<int> AddGates(const Circuit& circuit, const std::vector<int64_t>& sizes, int first, int& next,
                            std::vector<NetworkTensor>& cores) const;

  ChainForm chain_;
  int64_t layers_, gates_;
};

}  // namespace tnb
