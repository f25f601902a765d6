#include "models/formats/names.h"

#include <charconv>

namespace tnb {

std::string CanonicalName(const NameTable& table, std::string_view name) {
  for (const auto& [from, to] : table.whole) {
    if (name == from) return std::string(to);
  }
  if (!name.starts_with(table.block_prefix)) return "";
  name.remove_prefix(table.block_prefix.size());
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return "";
  int number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + dot, number);
  if (error != std::errc() || end != name.data() + dot || number < 0) return "";
  if (std::to_string(number) != name.substr(0, dot)) return "";  // "01" would alias "1"
  for (const auto& [from, to] : table.block) {
    if (name.substr(dot + 1) == from) return "blocks." + std::to_string(number) + "." + std::string(to);
  }
  return "";
}

}  // namespace tnb
