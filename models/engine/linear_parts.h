// What the kinds of linears share with one another and with nobody else.
#pragma once

#include "models/engine/linear.h"

namespace tnb {

// Weight::Save with the shape added, as LoadWeight wants it.
Json SaveWeight(const Weight& weight, const TensorSink& sink);

}  // namespace tnb
