// What the kinds of linears share with one another and with nobody else.
#pragma once

#include "models/engine/linear.h"

namespace tnb {

// x · Wᵀ in the dtype of x, differentiable by x alone; W is expanded from its stored form, and once more on
// the way back, so that a graph holds no expanded matrix.
at::Tensor TimesStored(const at::Tensor& x, const WeightPtr& weight);
// `matrix`, or where it is undefined the weight as it is stored, in the dtype of x.
at::Tensor MatrixOr(const at::Tensor& matrix, const Weight& weight, at::ScalarType dtype);

// Weight::Save with the shape added, as LoadWeight wants it.
Json SaveWeight(const Weight& weight, const TensorSink& sink);

}  // namespace tnb
