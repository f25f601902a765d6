// Distribution functions that the tests of differences need, from Boost.Math. That library stays behind this
// header, because it costs 5 s in every file that includes it.
#pragma once

namespace tnb {

// P(X <= z) for a standard normal X; P(X > z) without cancellation is NormalBelow(-z).
double NormalBelow(double z);
// x with P(X <= x) = p for a standard normal X, 0 < p < 1; Error{kUsage} otherwise.
double NormalQuantile(double p);
// The same of Student's t with so many degrees of freedom, more than 0.
double StudentBelow(double t, double degrees);
double StudentQuantile(double p, double degrees);
// The probability of at most `heads` heads with n fair coins.
double CoinsBelow(double heads, double n);
// n over k, rounded to the nearest double.
double BinomialCoefficient(unsigned n, unsigned k);

}  // namespace tnb
