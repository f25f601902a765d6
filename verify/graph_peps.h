// A quantum state on a graph as a tensor network of the graph's own shape (PEPS on a graph, gPEPS), evolved
// by the simple update: Jiang, Weng, Xiang, PRL 101, 090603 (2008); on arbitrary graphs Jahromi, Orus, PRB
// 99, 195105 (2019); for the kicked Ising circuit Patra, Jahromi, Singh, Orus, arXiv:2309.15642.
//
// Every site i carries a tensor T_i[s, b_1 .. b_z] (s the spin, b_k one leg a bond, z <= any degree), every
// bond a positive vector lambda of unit norm. The state is the product of all tensors and of diag(lambda) on
// every bond. It is in Vidal's gauge: on a tree lambda are the Schmidt values across the bond, and the
// environment of a site is the product of lambda^2 of its bonds; on graphs with loops that is the mean-field
// approximation, which is exact as long as the light cone of the circuit closes no loop.
//
// Costs, with chi the bond dimension and z the degree of a site: memory 2 chi^z complex numbers, O(chi^(z+1))
// for a gate on a bond. One object is used by one thread.
#pragma once

#include <complex>
#include <vector>

#include "verify/lattice.h"

namespace tnb {

class GraphPeps {
 public:
  // All spins up, bond dimension 1. Bonds keep at most `chi` Schmidt values, and of them those above `cutoff`
  // times the largest: smaller ones are rounding errors, by which nothing may be divided. Error{kUsage} for
  // chi < 1.
  GraphPeps(const Lattice& lattice, int chi, double cutoff = 1e-10);

  // exp(-i angle/2 X) on every site.
  void RotateX(double angle);
  // exp(i phase Z Z) on every bond, in the order of the lattice (the gates commute).
  void CoupleZ(double phase);

  // <Z> of a site in its mean-field environment: in [-1, 1].
  double Z(int site) const;
  double MeanZ() const;

  int LargestBond() const;
  // The largest part of the squared norm that a single truncation has cut.
  double largest_discarded() const { return discarded_; }

 private:
  struct Site {
    std::vector<int> bonds;                       // of its legs, in their order
    std::vector<std::complex<double>> amplitude;  // [2, legs ...], last leg fastest
  };
  // A site's tensor seen from one leg: weights[row] is the product of lambda of the other legs.
  struct View;
  View Look(int site, int bond) const;
  void Update(int bond, double phase);
  std::vector<double> Weights(const Site& site, int skipped_leg) const;

  Lattice lattice_;
  int chi_;
  double cutoff_;
  double discarded_ = 0;
  std::vector<Site> sites_;
  std::vector<std::vector<double>> lambda_;
};

}  // namespace tnb
