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

Legs ParseLegs(const std::string& text, int64_t rows, int64_t cols) {
  const size_t slash = text.find('/');
  Legs legs;
  if (slash != std::string::npos)
    legs = {ParseFactors(text.substr(0, slash)), ParseFactors(text.substr(slash + 1))};
  if (legs.out.empty() || legs.in.empty() || Product(legs.out) != rows || Product(legs.in) != cols) {
    throw Error(ErrorKind::kUsage,
                {"legs do not fit a " + std::to_string(rows) + "x" + std::to_string(cols) + " matrix",
                 "out legs multiplying to " + std::to_string(rows) + " / in legs multiplying to " +
                     std::to_string(cols) + ", for example " +
                     ToString({BalancedFactors(rows, 2), BalancedFactors(cols, 2)}),
                 text, "", "select the linears of that shape with @"});
  }
  return legs;
}

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
  Legs legs = ParseLegs(text, rows, cols);
  if (legs.out.size() != static_cast<size_t>(cores) || legs.in.size() != static_cast<size_t>(cores)) {
    throw Error(ErrorKind::kUsage,
                {"legs do not fit " + std::to_string(cores) + " cores",
                 std::to_string(cores) + " out legs and as many in legs, for example " +
                     ToString({BalancedFactors(rows, cores), BalancedFactors(cols, cores)}),
                 text, "", "cores=, or legs=auto"});
  }
  return legs;
}

namespace {

// At most `most` of the values, spread over them, first and last included.
std::vector<int64_t> Spread(const std::vector<int64_t>& values, size_t most) {
  std::vector<int64_t> chosen;
  const size_t count = std::min(most, values.size());
  for (size_t i = 0; i < count; ++i) {
    chosen.push_back(values[count == 1 ? 0 : i * (values.size() - 1) / (count - 1)]);
  }
  return chosen;
}

// The balanced legs of two cores, unless they are there or a core would be a single number.
void AddBalanced(int64_t rows, int64_t cols, std::vector<Legs>& family) {
  const Legs balanced{BalancedFactors(rows, 2), BalancedFactors(cols, 2)};
  const bool known = std::any_of(family.begin(), family.end(), [&](const Legs& legs) {
    return legs.out == balanced.out && legs.in == balanced.in;
  });
  const bool useful = balanced.out[0] * balanced.in[0] > 1 && balanced.out[1] * balanced.in[1] > 1;
  if (!known && useful) family.push_back(balanced);
}

constexpr size_t kMostLegs = 6;

}  // namespace

std::vector<Legs> LegFamily(int64_t rows, int64_t cols) {
  std::vector<int64_t> divisors;
  for (int64_t t = 1; t * t <= std::max(rows, cols); ++t) {
    if (rows % t == 0 && cols % t == 0) divisors.push_back(t);
  }
  std::vector<Legs> family;
  for (const int64_t t : Spread(divisors, kMostLegs)) family.push_back({{rows / t, t}, {t, cols / t}});
  AddBalanced(rows, cols, family);
  return family;
}

std::vector<Legs> KroneckerFamily(int64_t rows, int64_t cols) {
  std::vector<int64_t> divisors;
  for (int64_t t = 2; t * t <= std::max(rows, cols); ++t) {
    if (rows % t == 0 && cols % t == 0) divisors.push_back(t);
  }
  std::vector<Legs> family;
  for (const int64_t t : Spread(divisors, kMostLegs)) family.push_back({{rows / t, t}, {cols / t, t}});
  AddBalanced(rows, cols, family);
  return family;
}

}  // namespace tnb
