#include "methods/factorize/legs.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "base/error.h"

namespace tnb {
namespace {

std::string Join(const std::vector<int64_t>& factors) {
  std::string text;
  for (const int64_t factor : factors) {
    if (!text.empty()) text += 'x';
    text += std::to_string(factor);
  }
  return text;
}

std::vector<int64_t> ParseFactors(const std::string& text) {
  std::vector<int64_t> factors;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find('x', begin), text.size());
    int64_t factor = 0;
    const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + end, factor);
    if (error != std::errc() || stop != text.data() + end || factor < 1 || factor > (int64_t{1} << 32))
      return {};
    factors.push_back(factor);
    begin = end + 1;
  }
  return factors;
}

// Product with a bound, so that lying input cannot overflow.
int64_t Product(const std::vector<int64_t>& factors) {
  int64_t product = 1;
  for (const int64_t factor : factors) {
    if (product > (int64_t{1} << 30)) return -1;
    product *= factor;
  }
  return product;
}

}  // namespace

std::vector<int64_t> BalancedFactors(int64_t size, int64_t count) {
  std::vector<int64_t> primes;
  for (int64_t p = 2; p * p <= size; ++p) {
    for (; size % p == 0; size /= p) primes.push_back(p);
  }
  if (size > 1) primes.push_back(size);
  std::vector<int64_t> factors(static_cast<size_t>(count), 1);
  for (auto prime = primes.rbegin(); prime != primes.rend(); ++prime) {
    *std::min_element(factors.begin(), factors.end()) *= *prime;
  }
  std::sort(factors.begin(), factors.end());
  return factors;
}

std::string ToString(const Legs& legs) { return Join(legs.out).append("/").append(Join(legs.in)); }

Legs ChooseLegs(const std::string& text, int64_t cores, int64_t rows, int64_t cols) {
  const std::string shape = std::to_string(rows) + "x" + std::to_string(cols);
  if (text == "auto") {
    Legs legs{BalancedFactors(rows, cores), BalancedFactors(cols, cores)};
    for (size_t i = 0; i < legs.out.size(); ++i) {
      if (legs.out[i] * legs.in[i] == 1) {
        throw Error(ErrorKind::kUsage,
                    {"a " + shape + " matrix has too few factors for " + std::to_string(cores) + " cores", "",
                     ToString(legs), "",
                     "fewer cores, legs=" + std::to_string(rows) + "x1/1x" + std::to_string(cols) +
                         " (plain low rank), or another selector"});
      }
    }
    return legs;
  }
  const size_t slash = text.find('/');
  Legs legs;
  if (slash != std::string::npos)
    legs = {ParseFactors(text.substr(0, slash)), ParseFactors(text.substr(slash + 1))};
  if (legs.out.size() != static_cast<size_t>(cores) || legs.in.size() != static_cast<size_t>(cores) ||
      Product(legs.out) != rows || Product(legs.in) != cols) {
    throw Error(ErrorKind::kUsage,
                {"legs do not fit a " + shape + " matrix",
                 std::to_string(cores) + " out legs multiplying to " + std::to_string(rows) +
                     " and as many in legs multiplying to " + std::to_string(cols) + ", for example " +
                     ToString({BalancedFactors(rows, cores), BalancedFactors(cols, cores)}),
                 text, "", "select the layers of that shape with @, or use legs=auto"});
  }
  return legs;
}

std::vector<Legs> LegFamily(int64_t rows, int64_t cols) {
  std::vector<int64_t> divisors;
  for (int64_t t = 1; t * t <= std::max(rows, cols); ++t) {
    if (rows % t == 0 && cols % t == 0) divisors.push_back(t);
  }
  constexpr size_t kMost = 6;
  std::vector<int64_t> chosen;
  const size_t count = std::min(kMost, divisors.size());
  for (size_t i = 0; i < count; ++i) {
    chosen.push_back(divisors[count == 1 ? 0 : i * (divisors.size() - 1) / (count - 1)]);
  }
  std::vector<Legs> family;
  for (const int64_t t : chosen) family.push_back({{rows / t, t}, {t, cols / t}});
  const Legs balanced{BalancedFactors(rows, 2), BalancedFactors(cols, 2)};
  const bool known = std::any_of(family.begin(), family.end(), [&](const Legs& legs) {
    return legs.out == balanced.out && legs.in == balanced.in;
  });
  const bool useful = balanced.out[0] * balanced.in[0] > 1 && balanced.out[1] * balanced.in[1] > 1;
  if (!known && useful) family.push_back(balanced);
  return family;
}

}  // namespace tnb
