// The one list of stages: a new stage is one file pair and one line here.
#include "methods/cache/cache_stage.h"
#include "methods/equivalent/equivalent.h"
#include "methods/factorize/kron.h"
#include "methods/factorize/mpo.h"
#include "methods/factorize/peps.h"
#include "methods/factorize/ring.h"
#include "methods/factorize/saten.h"
#include "methods/factorize/svd.h"
#include "methods/factorize/tucker.h"
#include "methods/heal/heal.h"
#include "methods/prune/prune.h"
#include "methods/quantize/decoquant.h"
#include "methods/quantize/gguf.h"
#include "methods/quantize/gptq.h"
#include "methods/quantize/scalar.h"
#include "methods/quantize/scaled.h"
#include "methods/stage.h"
#include "methods/storage/cast.h"
#include "methods/vector/aqlm.h"
#include "methods/vector/product_stage.h"
#include "models/formats/nearest.h"

namespace tnb {

const std::vector<StageEntry>& StageRegistry() {
  static const std::vector<StageEntry> entries = {
      // storage
      CastEntry("fp32"),
      CastEntry("bf16"),
      CastEntry("fp16"),
      // scalar quantization
      IntegerEntry(8),
      IntegerEntry(6),
      IntegerEntry(5),
      IntegerEntry(4),
      IntegerEntry(3),
      IntegerEntry(2),
      LevelsEntry("nf4"),
      LevelsEntry("fp4"),
      HqqEntry(),
      LlmInt8Entry(),
      GgufEntry("q8_0"),
      GgufEntry("q4_0"),
      GgufEntry("q4_k"),
      GgufEntry("q6_k"),
      // the same, calibrated
      GptqEntry(),
      AwqEntry(),
      SmoothQuantEntry(),
      DecoQuantEntry(),
      // factorization
      SvdEntry(),
      AsvdEntry(),
      FwsvdEntry(),
      SvdLlmEntry(),
      // tensor networks
      MpoEntry(),
      KronEntry(),
      RingEntry(),
      TuckerEntry(),
      PepsEntry(),
      SatenEntry(),
      // vector quantization
      PqEntry(),
      OpqEntry(),
      LopqEntry(),
      QetEntry(),
      AqlmEntry(),
      // pruning
      MagnitudeEntry(),
      WandaEntry(),
      SparseGptEntry(),
      LayerDropEntry(),
      // key-value cache
      KvInt8Entry(),
      KvInt4Entry(),
      KvQetEntry(),
      // equivalent models
      AwtEntry(),
      FoldNormsEntry(),
      RotateEntry(),
      // training
      HealEntry(),
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
