// The nearest known name for an error message ("did you mean ...?").
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tnb {

// Up to `count` of `names` with the smallest Levenshtein distance to `name`, nearest first, ties in list
// order.
std::vector<std::string> NearestNames(std::string_view name, const std::vector<std::string>& names,
                                      size_t count);

}  // namespace tnb
