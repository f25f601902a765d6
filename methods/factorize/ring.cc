#include "methods/factorize/ring.h"

#include "methods/factorize/chain.h"
#include "methods/factorize/factorizer.h"

namespace tnb {
namespace {

std::unique_ptr<Stage> MakeRing(const StageValues& values) {
  FactorizerOptions options = OptionsFrom(values, "chi");
  const int64_t cores = values.Integer("cores");
  const std::string text = values.Text("legs");
  const ChainOptions chain{
      .closing = values.Integer("closing"), .sweeps = SweepsFrom(values), .size_name = "chi"};
  options.forms = [=](const LinearSlot&, int64_t rows, int64_t cols) {
    return Chains({ChooseLegs(text, cores, rows, cols)}, chain);
  };
  return MakeFactorizer(std::move(options));
}

}  // namespace

StageEntry RingEntry() {
  using Type = ParameterDescription::Type;
  StageDescription description =
      DescribeFactorization("ring", "tensor ring: a matrix product operator whose ends share a bond", "chi",
                            "Zhao et al., arXiv 1606.05535 (TR-SVD)");
  description.parameters.push_back({"cores", Type::kInteger, "3", "number of cores", 2, 12, {}});
  description.parameters.push_back(
      {"closing", Type::kInteger, "2", "bond between the last core and the first", 2, 64, {}});
  description.parameters.push_back({"legs",
                                    Type::kText,
                                    "auto",
                                    "auto (balanced factors), or out/in legs such as 8x12x16/6x8x12",
                                    0,
                                    0,
                                    {}});
  AddSweeps(description.parameters);
  AddPermutation(description.parameters);
  AddWhitening(description.parameters);
  return {description, &MakeRing};
}

}  // namespace tnb
