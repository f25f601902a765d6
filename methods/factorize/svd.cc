#include "methods/factorize/svd.h"

#include <ATen/ATen.h>

#include "methods/factorize/mpo.h"
#include "methods/factorize/truncation.h"

namespace tnb {
namespace {

class Svd : public Stage {
 public:
  explicit Svd(const StageValues& values) : amount_(AmountFrom(values, "rank")) {}

  // The low-rank product is the two-core MPO with legs (m, 1) x (1, n).
  LinearReport Apply(LinearSlot& slot) const override {
    const Legs legs{{slot.linear->out_features(), 1}, {1, slot.linear->in_features()}};
    MpoResult result = DecomposeMpo(slot.linear->Rebuild(), legs, amount_);
    result.linear->set_bias(slot.linear->bias());
    slot.linear = std::move(result.linear);
    return {result.discarded_weight, {{"rank", result.bonds[0]}}};
  }

 private:
  Amount amount_;
};

std::unique_ptr<Stage> Make(const StageValues& values) { return std::make_unique<Svd>(values); }

}  // namespace

StageEntry SvdEntry() {
  StageDescription description;
  description.name = "svd";
  description.group = "factorize";
  description.summary =
      "truncated singular value decomposition, W ~ A B; embedding, head and down are left alone";
  description.parameters = AmountParameters("rank");
  description.selector = "attn/gate/up";
  description.reference = "Eckart and Young 1936; baseline of SVD-LLM (arXiv 2403.07378)";
  return {description, &Make};
}

}  // namespace tnb
