// Tensor names of a file format and the canonical names of models/checkpoint.h.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tnb {

struct NameTable {
  using Row = std::pair<std::string_view, std::string_view>;  // in the file, canonical
  std::span<const Row> whole;                                 // whole names
  std::string_view block_prefix;                              // then the block's number and a dot ...
  std::span<const Row> block;                                 // ... then one of these
};

// The canonical name, or "" when the table does not explain `name`.
std::string CanonicalName(const NameTable& table, std::string_view name);

}  // namespace tnb
