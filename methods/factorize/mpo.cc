#include "methods/factorize/mpo.h"

#include "methods/factorize/chain.h"
#include "methods/factorize/disentangled.h"
#include "methods/factorize/factorizer.h"

namespace tnb {
namespace {

std::unique_ptr<Stage> MakeMpo(const StageValues& values) {
  FactorizerOptions options = OptionsFrom(values, "chi");
  const int64_t cores = values.Integer("cores");
  const std::string text = values.Text("legs");
  if (text == "best" && cores != 2) {
    throw Error(ErrorKind::kUsage, {"legs=best searches two-core networks", "cores=2", std::to_string(cores),
                                    "legs", "legs=auto, or legs of your own"});
  }
  const ChainOptions chain{.closing = 1, .sweeps = SweepsFrom(values), .size_name = "chi"};
  if (const int64_t layers = values.Has("disentangle") ? values.Integer("disentangle") : 0; layers > 0) {
    if (text == "best" || chain.sweeps > 0) {
      throw Error(ErrorKind::kUsage, {"gates around a chain are found for given legs, without sweeps",
                                      "legs=auto or given, sweeps=0", text, "disentangle", ""});
    }
    options.forms = [=](const LinearSlot&, int64_t rows, int64_t cols) {
      return std::vector<std::shared_ptr<const Form>>{
          std::make_shared<DisentangledForm>(ChooseLegs(text, cores, rows, cols), layers)};
    };
    return MakeFactorizer(std::move(options));
  }
  options.forms = [=](const LinearSlot&, int64_t rows, int64_t cols) {
    return Chains(
        text == "best" ? LegFamily(rows, cols) : std::vector<Legs>{ChooseLegs(text, cores, rows, cols)},
        chain);
  };
  return MakeFactorizer(std::move(options));
}

}  // namespace

StageEntry MpoEntry() {
  using Type = ParameterDescription::Type;
  StageDescription description = DescribeFactorization(
      "mpo", "matrix product operator by sequential singular value decompositions", "chi",
      "CompactifAI, arXiv 2401.14109; Oseledets 2011 (TT-SVD); disentangle: arXiv 2410.17397");
  description.parameters.push_back({"cores", Type::kInteger, "2", "number of cores", 2, 12, {}});
  description.parameters.push_back({"legs",
                                    Type::kText,
                                    "auto",
                                    "auto (balanced factors), best (two cores, from plain low rank to square "
                                    "legs, by measured error), or out/in legs such as 32x48/24x24",
                                    0,
                                    0,
                                    {}});
  AddSweeps(description.parameters);
  description.parameters.push_back(
      {"disentangle",
       Type::kInteger,
       "0",
       "layers of orthogonal gates over neighboring legs on both sides (three cores or "
       "more); their numbers are stored and counted",
       0,
       8,
       {},
       "",
       "0"});
  AddPermutation(description.parameters);
  AddWhitening(description.parameters);
  return {description, &MakeMpo};
}

}  // namespace tnb
