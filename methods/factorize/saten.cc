#include "methods/factorize/saten.h"

#include "methods/factorize/chain.h"
#include "methods/factorize/factorizer.h"

namespace tnb {
namespace {

std::unique_ptr<Stage> MakeSaten(const StageValues& values) {
  FactorizerOptions options = OptionsFrom(values, "chi");
  options.sparse.two_of_four = values.Text("pattern") == "2:4";
  if (!options.sparse.two_of_four) options.sparse.density = values.Real("density");
  const int64_t cores = values.Integer("cores");
  const std::string text = values.Text("legs");
  const ChainOptions chain{.closing = 1, .sweeps = SweepsFrom(values), .size_name = "chi"};
  options.forms = [=](const LinearSlot&, int64_t rows, int64_t cols) {
    return Chains({ChooseLegs(text, cores, rows, cols)}, chain);
  };
  return MakeFactorizer(std::move(options));
}

}  // namespace

StageEntry SatenEntry() {
  using Type = ParameterDescription::Type;
  StageDescription description =
      DescribeFactorization("saten", "matrix product operator plus a sparse part of its residual", "chi",
                            "Saten, arXiv 2505.14871, additive form");
  description.parameters.push_back({"cores", Type::kInteger, "2", "number of cores", 2, 12, {}});
  description.parameters.push_back(
      {"legs", Type::kText, "auto", "auto (balanced factors), or out/in legs such as 32x48/24x24", 0, 0, {}});
  description.parameters.push_back(
      {"pattern",
       Type::kChoice,
       "unstructured",
       "which elements of the residual are stored: the largest, or the two largest "
       "of every four neighbors in a row",
       0,
       0,
       {"unstructured", "2:4"}});
  description.parameters.push_back({"density",
                                    Type::kReal,
                                    "0.05",
                                    "fraction of the residual's elements that are stored",
                                    1e-4,
                                    0.9,
                                    {},
                                    "pattern=unstructured"});
  AddSweeps(description.parameters);
  AddPermutation(description.parameters);
  AddWhitening(description.parameters);
  return {description, &MakeSaten};
}

}  // namespace tnb
