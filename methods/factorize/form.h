// A form says what network a matrix becomes: its legs, which cores share which bonds, and how much of the
// matrix remains. mpo, svd, kron and ring are chains (chain.h), tucker has factors around a core (tucker.h),
// peps is a grid (peps.h). What they share, metric, budget, allocation and record, is the factorizer's.
//
// A form sees a matrix that is whitened already and minimizes the Frobenius norm of its error. Legs have
// numbers: out legs 0, 1, .., then the in legs, then the bonds.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "methods/allocate/allocation.h"
#include "methods/factorize/legs.h"
#include "methods/factorize/truncation.h"
#include "methods/factorize/whitening.h"
#include "models/engine/linear.h"

namespace tnb {

// A matrix after it was cut.
struct NetworkCut {
  std::vector<NetworkTensor> cores;
  double loss = 0;               // |matrix - network|^2
  double total = 0;              // |matrix|^2
  Json detail = Json::object();  // bonds, ranks, legs: for the record
};

class Form {
 public:
  explicit Form(Legs legs) : legs_(std::move(legs)) {}
  virtual ~Form() = default;
  Form(const Form&) = delete;
  Form& operator=(const Form&) = delete;

  const Legs& legs() const { return legs_; }
  int64_t out_leg(size_t k) const { return static_cast<int64_t>(k); }
  int64_t in_leg(size_t k) const { return static_cast<int64_t>(legs_.out.size() + k); }
  int64_t bond_leg(size_t k) const { return static_cast<int64_t>(legs_.out.size() + legs_.in.size() + k); }
  int64_t dense_parameters() const;

  // Parameters of the smallest network of this form.
  virtual int64_t LeastParameters() const = 0;
  // Cuts the matrix [rows, cols] fp32. Error{kUsage} with the legal range when it cannot be done.
  virtual NetworkCut Cut(const at::Tensor& matrix, const Amount& amount) const = 0;
  // A cheaper cut that may lose some percent more: to tell which of several forms are worth a real one.
  virtual NetworkCut Sketch(const at::Tensor& matrix, const Amount& amount) const {
    return Cut(matrix, amount);
  }
  // Cuts a linear that is a network of this form and legs already, core by core, without ever building its
  // matrix; nothing for any other linear, or where there is no such shortcut.
  virtual std::optional<NetworkCut> Round(const Linear& linear, const Amount& amount) const;
  // Parameters of all sizes below the dense one that this matrix can be cut to, ascending.
  virtual std::vector<int64_t> Sizes(const at::Tensor& matrix) const = 0;
  // The same with the loss expected of each; `total` is |matrix|^2. Cut with Amount::parameters of a point
  // gives that point.
  virtual RateCurve Curve(const at::Tensor& matrix) const = 0;

 private:
  Legs legs_;
};

// A form whose one size (bond dimension, rank, number of terms) decides everything.
class SizedForm : public Form {
 public:
  // `size_name`: the parameter that gives the size, for messages.
  SizedForm(Legs legs, std::string size_name) : Form(std::move(legs)), size_name_(std::move(size_name)) {}

  virtual int64_t LargestSize() const = 0;             // nothing is lost from here on
  virtual int64_t Parameters(int64_t size) const = 0;  // not decreasing

  // The largest size within `amount` (rank, keep or parameters).
  int64_t SizeFor(const Amount& amount) const;
  int64_t LeastParameters() const override { return Parameters(1); }
  NetworkCut Cut(const at::Tensor& matrix, const Amount& amount) const override;
  std::vector<int64_t> Sizes(const at::Tensor& matrix) const override;
  // Measured at some sizes, log-linear between them: for forms whose losses have no formula.
  RateCurve Curve(const at::Tensor& matrix) const override;

 protected:
  // `size`, or, with size 0, the smallest network whose error should be at most `norm`.
  virtual NetworkCut CutTo(const at::Tensor& matrix, int64_t size, double norm) const = 0;

 private:
  std::string size_name_;
};

// Cuts W in the metric of the whitening (a whitening of nothing: in its own). The cores are those of W
// itself, their bonds balanced; the loss is that of the whitened matrix, and so is the total.
enum class CutKind { kReal, kSketch };
NetworkCut CutWhitened(const Form& form, const at::Tensor& w, const LegWhitening& whitening,
                       const Amount& amount, CutKind kind = CutKind::kReal);

double SquaredNorm(const at::Tensor& t);  // summed in fp64
// The linear of a network whose legs are numbered as above, without bias.
std::unique_ptr<Linear> LinearOf(const std::vector<NetworkTensor>& cores, const Legs& legs);
// |matrix - network|^2, by rebuilding.
double MeasuredLoss(const at::Tensor& matrix, const std::vector<NetworkTensor>& cores, const Legs& legs);
// T[out legs, in legs] of W.
at::Tensor Unfolded(const at::Tensor& w, const Legs& legs);

}  // namespace tnb
