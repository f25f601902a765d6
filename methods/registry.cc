// The one list of stages: a new stage is one file pair and one line here.
#include "methods/cache/cache_stage.h"
#include "methods/equivalent/equivalent.h"
#include "methods/factorize/mpo.h"
#include "methods/factorize/svd.h"
#include "methods/prune/prune.h"
#include "methods/quantize/integer.h"
#include "methods/stage.h"
#include "methods/storage/cast.h"
#include "methods/vector/aqlm.h"
#include "methods/vector/product_stage.h"
#include "models/formats/nearest.h"

namespace tnb {

const std::vector<StageEntry>& StageRegistry() {
  static const std::vector<StageEntry> entries = {
      CastEntry("fp32"), CastEntry("bf16"), CastEntry("fp16"),  // storage
      Int8Entry(),       Int4Entry(),                           // quantization
      SvdEntry(),        AsvdEntry(),       FwsvdEntry(),      SvdLlmEntry(),
      MpoEntry(),  // factorization
      PqEntry(),         OpqEntry(),        LopqEntry(),       QetEntry(),
      AqlmEntry(),                                                                // vector quantization
      MagnitudeEntry(),  WandaEntry(),      SparseGptEntry(),  LayerDropEntry(),  // pruning
      KvInt8Entry(),     KvInt4Entry(),     KvQetEntry(),                         // key-value cache
      FoldNormsEntry(),  RotateEntry(),                                           // equivalent models
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
