// What the kinds of linears share with one another and with nobody else.
#pragma once

#include "models/engine/linear.h"

namespace tnb {

// Weight::Save with the shape added, as LoadWeight wants it.
Json SaveWeight(const Weight& weight, const TensorSink& sink);
// fp32 copy of a weight that stores plain numbers; Error{kUnsupported} for codes.
at::Tensor TrainableValues(const Weight& weight);

}  // namespace tnb
