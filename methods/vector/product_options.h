// The parameters of product quantization, as stages take them.
#pragma once

#include <vector>

#include "methods/stage.h"
#include "methods/vector/product.h"

namespace tnb {

// `bits` (of an element, everything counted) and `M`, and what the method needs besides.
std::vector<ParameterDescription> ProductParameters(ProductMethod method);
// All but the budget, which depends on the matrix; subspaces 0 for M=best. Error{kUsage}.
ProductOptions ProductOptionsFrom(ProductMethod method, const StageValues& values);

}  // namespace tnb
