// What the storage formats of weights share with one another and with nobody else.
#pragma once

#include <vector>

#include "models/engine/weight.h"

namespace tnb {

// Codes of 4 bits, two in a byte, the first in the low half. uint8 [n] <-> uint8 [(n + 1) / 2].
at::Tensor Pack4(const at::Tensor& codes);
at::Tensor Unpack4(const at::Tensor& packed, int64_t count);

// Error{kData} when a stored tensor has another type or shape.
void CheckTensor(const at::Tensor& tensor, at::ScalarType dtype, const std::vector<int64_t>& shape,
                 const std::string& where);
// Error{kData} when a value is NaN or infinite.
void CheckFinite(const at::Tensor& tensor, const std::string& where);

// The formats that LoadWeight knows by name, each in its own file.
WeightPtr LoadCodebook(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                       const std::string& where);
WeightPtr LoadSparse(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                     const std::string& where);

}  // namespace tnb
