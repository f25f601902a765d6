// What the storage formats of weights share with one another and with nobody else.
#pragma once

#include <vector>

#include "models/engine/weight.h"

namespace tnb {

// A weight in panel layout.
class PanelWeight : public Weight {
 public:
  int64_t rows() const override { return panels_.rows; }
  int64_t cols() const override { return panels_.cols; }
  at::Tensor Dense() const override;
  at::Tensor Rows(const at::Tensor& index) const override;
  const PanelMatrix* panels() const override { return &panels_; }
  Activation activation() const override { return activation_; }

 protected:
  explicit PanelWeight(Activation activation) : activation_(activation) {}
  void MatmulCpu(const at::Tensor& x, at::Tensor& y) const override;

  Activation activation_;
  PanelMatrix panels_;
};

// Error{kData} that names `where` unless `tensor` has this type and shape.
void CheckTensor(const at::Tensor& tensor, at::ScalarType dtype, const std::vector<int64_t>& shape,
                 const std::string& where);
// The same when a value is NaN or infinite.
void CheckFinite(const at::Tensor& tensor, const std::string& where);

// The formats that LoadWeight knows by name, each in its own file.
WeightPtr LoadCodebook(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                       const std::string& where);
WeightPtr LoadSparse(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                     const std::string& where);
WeightPtr LoadBlockWeight(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                          const std::string& where);
WeightPtr LoadCodedWeight(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                          const std::string& where);

}  // namespace tnb
