#include "methods/vector/product_options.h"

#include <charconv>

#include "base/error.h"
#include "methods/recipe.h"

namespace tnb {
namespace {

using Type = ParameterDescription::Type;

// "0.7/0.3" -> numbers; each within [least, most].
std::vector<double> Numbers(const StageValues& values, const std::string& name, double least, double most) {
  std::vector<double> numbers;
  const std::string& text = values.Text(name);
  for (const std::string& part : SplitOutsideParentheses(text, '/')) {
    double number = 0;
    const auto [end, code] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (code != std::errc() || end != part.data() + part.size() || !(number >= least && number <= most)) {
      throw Error(ErrorKind::kUsage,
                  {"a list of numbers is not one",
                   "one number a stage, as in 3/0, from " + Json(least).dump() + " to " + Json(most).dump(),
                   text, name, ""});
    }
    numbers.push_back(number);
  }
  return numbers;
}

std::vector<int64_t> Integers(const StageValues& values, const std::string& name, double least, double most) {
  std::vector<int64_t> integers;
  for (const double number : Numbers(values, name, least, most))
    integers.push_back(static_cast<int64_t>(number));
  return integers;
}

}  // namespace

std::vector<ParameterDescription> ProductParameters(ProductMethod method) {
  std::vector<ParameterDescription> parameters = {
      {"bits", Type::kReal, "4", "bits an element of the matrix, codebooks and all else counted", 0.25, 16},
      {"M", Type::kText, "best",
       "subspaces of a vector, each with its own codebook; best: those with the least squared error"}};
  if (method == ProductMethod::kLopq) {
    parameters.push_back({"clusters", Type::kInteger, "2", "clusters of vectors", 2, 256});
  }
  if (method == ProductMethod::kQet) {
    parameters.push_back({"layers", Type::kText, "3/0", "layers of the tree, stage by stage"});
    parameters.push_back(
        {"shares", Type::kText, "0.7/0.3", "of what the trees leave of the budget, stage by stage"});
    parameters.push_back(
        {"codebook_bits", Type::kText, "10/10", "bits of a codebook's values, stage by stage"});
  }
  return parameters;
}

ProductOptions ProductOptionsFrom(ProductMethod method, const StageValues& values) {
  ProductOptions options;
  options.method = method;
  const std::string& text = values.Text("M");
  if (text == "best") {
    options.subspaces = 0;
  } else {
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), options.subspaces);
    if (code != std::errc() || end != text.data() + text.size() || options.subspaces < 1) {
      throw Error(ErrorKind::kUsage, {"M is a number of subspaces", "best, or 1 and more", text, "M", ""});
    }
  }
  if (method == ProductMethod::kLopq) options.clusters = values.Integer("clusters");
  if (method != ProductMethod::kQet) return options;
  options.layers = Integers(values, "layers", 0, 10);
  options.shares = Numbers(values, "shares", 0.001, 1);
  options.value_bits = Integers(values, "codebook_bits", 2, 15);
  if (options.layers.size() != options.shares.size() || options.layers.size() != options.value_bits.size()) {
    throw Error(ErrorKind::kUsage, {"layers, shares and codebook_bits have one number a stage each",
                                    "lists of one length", values.Text("layers"), "layers", ""});
  }
  return options;
}

}  // namespace tnb
