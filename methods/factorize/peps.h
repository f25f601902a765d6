// peps: a matrix as a grid of two rows and N columns of tensors, as KARIPAP (arXiv 2510.21844) is read here.
// That paper has no code and gives no grid, bond dimension or order of contraction: this is a reading of
// "iPEPS tensors in place of dense layers", not a reproduction.
//
// Sites have legs (o, i), column by column, the upper one first: legs o = (o11 o21 o12 o22 ..). The columns
// are cut first, as a chain with bonds of D^2 that are dealt out to an upper and a lower bond of D; then
// every column is cut between its sites with D values; then alternating least squares (`sweeps`). Bonds never
// grow beyond what is exact. Parameters: sum over the sites of o i times the product of their bonds, 4 D^2 o
// i for an unsaturated 2 x 2 grid of equal sites.
//
// The paper's renormalization (TRG, Levin and Nave 2007) contracts a closed network to a number; here W is
// contracted exactly, in the cheapest order of cores.
#pragma once

#include "methods/factorize/form.h"
#include "methods/stage.h"

namespace tnb {

StageEntry PepsEntry();

class PepsForm : public SizedForm {
 public:
  // 2 N out legs and as many in legs.
  PepsForm(Legs legs, int64_t sweeps);

  int64_t LargestSize() const override;
  int64_t Parameters(int64_t bond) const override;

 protected:
  NetworkCut CutTo(const at::Tensor& matrix, int64_t bond, double norm) const override;

 private:
  // Bonds of the grid for D: upper and lower to the right of every column but the last, and inside columns.
  struct Bonds {
    std::vector<int64_t> upper, lower, inside;
  };
  Bonds BondsFor(int64_t bond) const;
  int64_t columns() const { return static_cast<int64_t>(legs().out.size()) / 2; }
  int64_t site(int64_t column, int64_t row) const;  // o i

  int64_t sweeps_;
};

}  // namespace tnb
