// Legs: how the rows and columns of a matrix are factored over the cores of a tensor network.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tnb {

struct Legs {
  std::vector<int64_t> out, in;  // one factor a core, most significant first
};

// Balanced factors of `size`, ascending: prime factors, largest first, each to the smallest factor so far.
std::vector<int64_t> BalancedFactors(int64_t size, int64_t count);
// "8x12x16/6x8x12": out legs / in legs, any number of each. Error{kUsage} with the legal form when they do
// not multiply to the shape.
Legs ParseLegs(const std::string& text, int64_t rows, int64_t cols);
// "auto", or "8x12x16/6x8x12" (out legs / in legs). Error{kUsage} with the legal form when they do not
// multiply to the shape, are not `cores` each, or "auto" finds no useful factors (a prime size).
Legs ChooseLegs(const std::string& text, int64_t cores, int64_t rows, int64_t cols);
// Two-core legs from plain low rank (rows x 1 / 1 x cols) to square ones: (rows/t x t / t x cols/t) for
// divisors t of both sizes, at most six of them spread over the scale, and the balanced legs. All but the
// last have chi (rows + cols) parameters.
std::vector<Legs> LegFamily(int64_t rows, int64_t cols);
// Shapes of Kronecker products (rows/s x cols/t) ⊗ (s x t), s and t close together, at most six of them, and
// the balanced one. The number of parameters a term differs.
std::vector<Legs> KroneckerFamily(int64_t rows, int64_t cols);
std::string ToString(const Legs& legs);

}  // namespace tnb
