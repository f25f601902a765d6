#include "base/random.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <string>
#include <unordered_set>

#include "base/error.h"

namespace tnb {
namespace {

constexpr size_t kWords = std::mt19937::state_size;

// init_genrand and init_by_array of the authors' mt19937ar.c.
std::array<uint32_t, kWords> InitByArray(const std::vector<uint32_t>& key) {
  std::array<uint32_t, kWords> state;
  state[0] = 19650218u;
  const auto mixed = [&](size_t i, uint32_t factor) {
    const uint32_t previous = state[i - 1];
    return factor * (previous ^ (previous >> 30));
  };
  for (size_t i = 1; i < kWords; ++i) state[i] = mixed(i, 1812433253u) + static_cast<uint32_t>(i);
  size_t i = 1;
  const auto advance = [&] {
    if (++i < kWords) return;
    state[0] = state[kWords - 1];
    i = 1;
  };
  size_t j = 0;
  for (size_t k = std::max(kWords, key.size()); k > 0; --k) {
    state[i] = (state[i] ^ mixed(i, 1664525u)) + key[j] + static_cast<uint32_t>(j);
    advance();
    if (++j >= key.size()) j = 0;
  }
  for (size_t k = kWords - 1; k > 0; --k) {
    state[i] = (state[i] ^ mixed(i, 1566083941u)) - static_cast<uint32_t>(i);
    advance();
  }
  state[0] = 0x80000000u;
  return state;
}

// A seed sequence that hands the engine its state words as they are.
struct WordSequence {
  using result_type = uint32_t;
  template <typename Iterator>
  void generate(Iterator begin, Iterator end) {
    std::copy_n(words.begin(), end - begin, begin);
  }
  std::array<uint32_t, kWords> words;
};

}  // namespace

PythonRandom::PythonRandom(int64_t seed) {
  // |seed| as little-endian 32-bit words, at least one; negation is done unsigned so that the minimum is
  // fine.
  const uint64_t magnitude = seed < 0 ? 0 - static_cast<uint64_t>(seed) : static_cast<uint64_t>(seed);
  std::vector<uint32_t> key = {static_cast<uint32_t>(magnitude)};
  if (magnitude >> 32 != 0) key.push_back(static_cast<uint32_t>(magnitude >> 32));
  WordSequence words{InitByArray(key)};
  engine_.seed(words);
}

double PythonRandom::Random() {
  const uint32_t high = static_cast<uint32_t>(engine_()) >> 5;
  const uint32_t low = static_cast<uint32_t>(engine_()) >> 6;
  return (high * 67108864.0 + low) * (1.0 / 9007199254740992.0);
}

uint64_t PythonRandom::RandomBits(int bits) {
  if (bits < 0 || bits > 64) {
    throw Error(ErrorKind::kUsage, {"wrong number of random bits", "0 to 64", std::to_string(bits), "", ""});
  }
  // Words come least significant first; the last one gives its upper bits.
  uint64_t value = 0;
  for (int shift = 0; shift < bits; shift += 32) {
    uint64_t word = static_cast<uint32_t>(engine_());
    if (bits - shift < 32) word >>= 32 - (bits - shift);
    value |= word << shift;
  }
  return value;
}

uint64_t PythonRandom::RandomBelow(uint64_t bound) {
  if (bound == 0) throw Error(ErrorKind::kUsage, "a random number below 0 was asked for");
  const int bits = std::bit_width(bound);
  uint64_t value = RandomBits(bits);
  while (value >= bound) value = RandomBits(bits);
  return value;
}

std::vector<size_t> PythonRandom::Sample(size_t population, size_t count) {
  if (count > population) {
    throw Error(ErrorKind::kUsage, {"the sample is larger than what it is drawn from",
                                    std::to_string(population) + " or fewer", std::to_string(count), "", ""});
  }
  std::vector<size_t> result(count);
  // CPython draws from a pool when the pool is smaller than a set of `count` would be; the two ways give
  // different samples, so the threshold is part of the contract.
  size_t set_size = 21;
  if (count > 5) {
    set_size += size_t{1} << 2 * static_cast<int>(std::ceil(std::log(count * 3.0) / std::log(4.0)));
  }
  if (population <= set_size) {
    std::vector<size_t> pool(population);
    std::iota(pool.begin(), pool.end(), 0);
    for (size_t i = 0; i < count; ++i) {
      const size_t j = RandomBelow(population - i);
      result[i] = pool[j];
      pool[j] = pool[population - i - 1];
    }
    return result;
  }
  std::unordered_set<size_t> selected;
  for (size_t& drawn : result) {
    do {
      drawn = RandomBelow(population);
    } while (!selected.insert(drawn).second);
  }
  return result;
}

}  // namespace tnb
