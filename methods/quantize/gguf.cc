#include "methods/quantize/gguf.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "methods/quantize/scalar.h"
#include "models/formats/elements.h"

namespace tnb {
namespace {

struct Format {
  const char* name;     // of the stage
  const char* type;     // in GGUF files
  const char* without;  // where its blocks do not fit; null: fp16
};
constexpr Format kFormats[] = {
    {"q8_0", "Q8_0", nullptr}, {"q4_0", "Q4_0", nullptr}, {"q4_k", "Q4_K", "Q5_0"}, {"q6_k", "Q6_K", "Q8_0"}};

WeightPtr Store(const at::Tensor& w, const Format& format) {
  for (const char* type : {format.type, format.without}) {
    if (type != nullptr && w.size(1) % FindElementFormat(type)->block_values == 0) {
      return MakeBlockWeight(w, type);
    }
  }
  const at::Tensor half = w.to(at::kHalf);
  if (!at::isfinite(half).all().item<bool>()) {
    throw Error(ErrorKind::kData,
                {"a weight does not fit into fp16", "absolute values up to 65504", "overflow", "", ""});
  }
  return MakeDenseWeight(half);
}

class Gguf : public Stage {
 public:
  explicit Gguf(const Format& format) : format_(format) {}

  LinearReport Apply(LinearSlot& slot) const override {
    for (int64_t i = 0; i < slot.linear->weight_count(); ++i) {
      slot.linear->ReplaceWeight(i, Store(slot.linear->weight(i)->Dense(), format_));
    }
    return {};
  }

 private:
  const Format& format_;
};

template <size_t kIndex>
std::unique_ptr<Stage> MakeGguf(const StageValues&) {
  return std::make_unique<Gguf>(kFormats[kIndex]);
}

}  // namespace

StageEntry GgufEntry(const std::string& name) {
  static constexpr std::unique_ptr<Stage> (*kMakers[])(const StageValues&) = {&MakeGguf<0>, &MakeGguf<1>,
                                                                              &MakeGguf<2>, &MakeGguf<3>};
  for (size_t i = 0; i < std::size(kFormats); ++i) {
    if (name != kFormats[i].name) continue;
    return {
        DescribeQuantizer(name,
                          std::string("GGUF's ") + kFormats[i].type +
                              ", stored and rounded as llama.cpp does; inputs fp32; embedding and head only "
                              "when selected",
                          "ggml-quants.c of llama.cpp, without importance matrix"),
        kMakers[i]};
  }
  throw Error(ErrorKind::kInternal, "no block format " + name);
}

}  // namespace tnb
