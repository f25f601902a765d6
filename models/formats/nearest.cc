#include "models/formats/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tnb {
namespace {

size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::vector<std::string> NearestNames(std::string_view name, const std::vector<std::string>& names,
                                      size_t count) {
  // Hostile files hold names of megabytes; the first bytes are enough to find a typing error.
  constexpr size_t kLongest = 200;
  std::vector<std::pair<size_t, size_t>> order;
  for (size_t i = 0; i < names.size(); ++i) {
    order.emplace_back(Distance(name.substr(0, kLongest), std::string_view(names[i]).substr(0, kLongest)), i);
  }
  std::sort(order.begin(), order.end());
  std::vector<std::string> nearest;
  for (size_t i = 0; i < std::min(count, order.size()); ++i) nearest.push_back(names[order[i].second]);
  return nearest;
}

}  // namespace tnb
