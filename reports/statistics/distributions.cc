#include "reports/statistics/distributions.h"

#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions/binomial.hpp>
#include <string>

#include "base/error.h"

namespace tnb {

double NormalBelow(double z) { return boost::math::cdf(boost::math::normal(), z); }

double NormalQuantile(double p) {
  if (!(p > 0 && p < 1)) {
    throw Error(ErrorKind::kUsage, {"wrong probability", "between 0 and 1", std::to_string(p), "", ""});
  }
  return boost::math::quantile(boost::math::normal(), p);
}

double StudentBelow(double t, double degrees) {
  return boost::math::cdf(boost::math::students_t(degrees), t);
}

double StudentQuantile(double p, double degrees) {
  return boost::math::quantile(boost::math::students_t(degrees), p);
}

double CoinsBelow(double heads, double n) { return boost::math::cdf(boost::math::binomial(n, 0.5), heads); }

double BinomialCoefficient(unsigned n, unsigned k) { return boost::math::binomial_coefficient<double>(n, k); }

}  // namespace tnb
