// Products with weights that stay as they are while others train.
#include <ATen/ATen.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/engine/linear_parts.h"

namespace tnb {
namespace {

at::Tensor StoredMatrix(const Weight& weight, at::ScalarType dtype) { return weight.Dense().to(dtype); }

// What a graph holds of a product: the weight and not its matrix, which may be eight times as large.
struct HeldWeight : torch::CustomClassHolder {
  explicit HeldWeight(WeightPtr held) : weight(std::move(held)) {}
  WeightPtr weight;
};

class StoredProduct : public torch::autograd::Function<StoredProduct> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const WeightPtr& weight) {
    context->saved_data["weight"] = c10::IValue::make_capsule(c10::make_intrusive<HeldWeight>(weight));
    return at::linear(x, StoredMatrix(*weight, x.scalar_type()));
  }
  // dx = dy · W
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const at::Tensor& y = gradients.at(0);
    const auto held =
        c10::static_intrusive_pointer_cast<HeldWeight>(context->saved_data.at("weight").toCapsule());
    return {at::matmul(y, StoredMatrix(*held->weight, y.scalar_type())), at::Tensor()};
  }
};

}  // namespace

at::Tensor TimesStored(const at::Tensor& x, const WeightPtr& weight) {
  return StoredProduct::apply(x, weight);
}

at::Tensor MatrixOr(const at::Tensor& matrix, const Weight& weight, at::ScalarType dtype) {
  return matrix.defined() ? matrix : StoredMatrix(weight, dtype);
}

}  // namespace tnb
