// Random numbers bit for bit as CPython's `random.Random` draws them, so that few-shot prompts and subsets
// are the same as those of Python programs. MT19937 (Matsumoto and Nishimura 1998) seeded by init_by_array
// from the 32-bit words of |seed|, and the derived draws of CPython's Lib/random.py (3.8 and later; verified
// against 3.11).
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace tnb {

// Not thread-safe; one object a stream of draws.
class PythonRandom {
 public:
  // random.seed(seed): the sign is ignored.
  explicit PythonRandom(int64_t seed);

  // random.random(): in [0, 1) with 53 random bits.
  double Random();
  // random.getrandbits(bits), 0 <= bits <= 64.
  uint64_t RandomBits(int bits);
  // random.randrange(bound): in [0, bound). Throws Error{kUsage} unless bound > 0.
  uint64_t RandomBelow(uint64_t bound);
  // random.sample(range(population), count): distinct indices in drawing order. Throws Error{kUsage} when
  // count exceeds the population.
  std::vector<size_t> Sample(size_t population, size_t count);
  // random.shuffle(values).
  template <typename T>
  void Shuffle(std::vector<T>& values) {
    for (size_t i = values.size(); i-- > 1;) std::swap(values[i], values[RandomBelow(i + 1)]);
  }

 private:
  std::mt19937 engine_;
};

}  // namespace tnb
