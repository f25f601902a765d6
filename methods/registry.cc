// The one list of stages: a new stage is one file pair and one line here.
#include "methods/equivalent/equivalent.h"
#include "methods/factorize/kron.h"
#include "methods/factorize/mpo.h"
#include "methods/factorize/peps.h"
#include "methods/factorize/ring.h"
#include "methods/factorize/svd.h"
#include "methods/factorize/tucker.h"
#include "methods/quantize/integer.h"
#include "methods/stage.h"
#include "methods/storage/cast.h"
#include "models/formats/nearest.h"

namespace tnb {

const std::vector<StageEntry>& StageRegistry() {
  static const std::vector<StageEntry> entries = {
      CastEntry("fp32"), CastEntry("bf16"), CastEntry("fp16"),                              // storage
      Int8Entry(),       Int4Entry(),                                                       // quantization
      SvdEntry(),        AsvdEntry(),       FwsvdEntry(),      SvdLlmEntry(),               // low rank
      MpoEntry(),        KronEntry(),       RingEntry(),       TuckerEntry(), PepsEntry(),  // tensor networks
      FoldNormsEntry(),  RotateEntry(),  // equivalent models
  };
  return entries;
}

const StageEntry& FindStage(const std::string& name) {
  std::vector<std::string> names;
  for (const StageEntry& entry : StageRegistry()) {
    if (entry.description.name == name) return entry;
    names.push_back(entry.description.name);
  }
  std::string nearest;
  for (const std::string& known : NearestNames(name, names, 3))
    nearest += (nearest.empty() ? "" : ", ") + known;
  throw Error(ErrorKind::kUsage, {"unknown method '" + name + "'", "", "", "",
                                  "did you mean " + nearest + "? `tnbench list methods` shows all"});
}

}  // namespace tnb
