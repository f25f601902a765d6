#include "methods/factorize/kron.h"

#include "methods/factorize/chain.h"
#include "methods/factorize/factorizer.h"

namespace tnb {
namespace {

std::unique_ptr<Stage> MakeKron(const StageValues& values) {
  FactorizerOptions options = OptionsFrom(values, "terms");
  const std::string text = values.Text("legs");
  const ChainOptions chain{.closing = 1, .sweeps = 0, .size_name = "terms"};
  options.forms = [=](const LinearSlot&, int64_t rows, int64_t cols) {
    return Chains(
        text == "best" ? KroneckerFamily(rows, cols) : std::vector<Legs>{ChooseLegs(text, 2, rows, cols)},
        chain);
  };
  return MakeFactorizer(std::move(options));
}

}  // namespace

StageEntry KronEntry() {
  using Type = ParameterDescription::Type;
  StageDescription description = DescribeFactorization(
      "kron", "sum of Kronecker products, by the singular values of the rearranged matrix", "terms",
      "Van Loan and Pitsianis 1993; KroneckerBERT, arXiv 2109.06243");
  description.parameters.push_back(
      {"legs",
       Type::kText,
       "auto",
       "auto (balanced factors), best (from small to balanced second factors, by "
       "measured error), or out/in legs such as 32x48/24x24: A is 32x24, B 48x24",
       0,
       0,
       {}});
  AddPermutation(description.parameters);
  AddWhitening(description.parameters);
  return {description, &MakeKron};
}

}  // namespace tnb
