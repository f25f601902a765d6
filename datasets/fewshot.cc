#include "datasets/fewshot.h"

#include "base/error.h"

namespace tnb {

FewshotSampler::FewshotSampler(const FewshotRule& rule, const std::vector<Json>& pool)
    : rule_(rule), pool_(pool), random_(rule.seed) {
  if (rule.sampler != "random" && rule.sampler != "first_n") {
    throw Error(ErrorKind::kUsage,
                {"no few-shot sampler '" + rule.sampler + "'", "random or first_n", "", "", ""});
  }
  if (rule.compat != "lm-eval" && rule.compat != "document") {
    throw Error(ErrorKind::kUsage,
                {"no few-shot order '" + rule.compat + "'", "lm-eval or document", "", "fewshot_compat", ""});
  }
}

std::vector<size_t> FewshotSampler::Sample(size_t population, size_t count) {
  if (count > population) {
    throw Error(ErrorKind::kData, {"too few documents to draw examples from", std::to_string(count),
                                   std::to_string(population), "", "ask for fewer with --num-fewshot"});
  }
  return random_.Sample(population, count);
}

std::vector<size_t> FewshotSampler::Draw(size_t index, const Json& evaluated) {
  if (rule_.count == 0) return {};
  const auto others = [&] {
    std::vector<size_t> indices;
    for (size_t i = 0; i < pool_.size(); ++i) {
      if (!rule_.exclude_evaluated || pool_[i] != evaluated) indices.push_back(i);
    }
    return indices;
  };
  if (rule_.sampler == "first_n") {
    std::vector<size_t> indices = others();
    if (indices.size() < rule_.count) Sample(indices.size(), rule_.count);  // throws
    indices.resize(rule_.count);
    return indices;
  }
  if (rule_.compat == "document") {
    // Python's own way to make one seed of two numbers would be a hash; mixing by multiplication suffices.
    const uint64_t mixed = static_cast<uint64_t>(rule_.seed) + 0x9E3779B97F4A7C15ULL * (index + 1);
    random_ = PythonRandom(static_cast<int64_t>(mixed >> 1));
  }
  if (!rule_.exclude_evaluated) return Sample(pool_.size(), rule_.count);

  std::vector<size_t> kept;
  for (const size_t i : Sample(pool_.size(), rule_.count + 1)) {
    if (kept.size() < rule_.count && pool_[i] != evaluated) kept.push_back(i);
  }
  if (kept.size() == rule_.count) return kept;
  // The pool holds several copies of the evaluated document: draw again among all others.
  const std::vector<size_t> rest = others();
  kept.clear();
  for (const size_t i : Sample(rest.size(), rule_.count)) kept.push_back(rest[i]);
  return kept;
}

}  // namespace tnb
