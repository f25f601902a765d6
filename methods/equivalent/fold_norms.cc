#include <Eigen/Core>

#include "methods/equivalent/equivalent.h"
#include "methods/equivalent/rewritten.h"

namespace tnb {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

class FoldedCheckpoint : public RewrittenCheckpoint {
 public:
  using RewrittenCheckpoint::RewrittenCheckpoint;

  void Read(const std::string& name, int64_t row_begin, int64_t row_end, float* out) const override {
    const TensorInfo& info = Info(name);
    const StreamUse use = UseOf(name);
    if (use == StreamUse::kNorm) {
      std::fill(out, out + (row_end - row_begin), 1.0F);
      return;
    }
    ReadSource(name, row_begin, row_end, out);
    if (use != StreamUse::kReader) return;
    Eigen::RowVectorXf gains(info.cols);
    source().Read(NormBefore(name), 0, info.cols, gains.data());
    Eigen::Map<Matrix> rows(out, row_end - row_begin, info.cols);
    rows.array().rowwise() *= gains.array();
    if (!rows.allFinite()) {
      throw Error(ErrorKind::kData, {"a weight times the gain of its norm is not finite",
                                     "absolute values up to 3.4e38", "overflow", name, ""});
    }
  }
};

class FoldNormsStage : public RewritingStage {
 public:
  std::shared_ptr<const Checkpoint> Rewrite(std::shared_ptr<const Checkpoint> source) const override {
    return FoldNorms(std::move(source));
  }
};

std::unique_ptr<Stage> MakeFoldNorms(const StageValues&) { return std::make_unique<FoldNormsStage>(); }

}  // namespace

std::shared_ptr<const Checkpoint> FoldNorms(std::shared_ptr<const Checkpoint> source) {
  return std::make_shared<FoldedCheckpoint>(std::move(source));
}

StageEntry FoldNormsEntry() {
  StageDescription description;
  description.name = "fold-norms";
  description.group = "equivalent";
  description.summary =
      "an equivalent model: gains of the norms move into the linears after them; unties the head";
  description.selector = "all";
  description.takes_embedding = true;
  description.reference = "SliceGPT (arXiv 2401.15024), section 3.2";
  return {description, &MakeFoldNorms};
}

}  // namespace tnb
