#include <Eigen/QR>
#include <random>

#include "methods/equivalent/equivalent.h"
#include "methods/equivalent/rewritten.h"

namespace tnb {
namespace {

using Floats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Haar distributed: the orthogonal factor of a Gaussian matrix, its columns' signs fixed by the diagonal of
// the triangular one (Mezzadri, "How to generate random matrices from the classical compact groups", 2007).
Eigen::MatrixXd RandomOrthogonal(int64_t size, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  const Eigen::MatrixXd gaussian =
      Eigen::MatrixXd::NullaryExpr(size, size, [&] { return normal(generator); });
  const Eigen::HouseholderQR<Eigen::MatrixXd> factors(gaussian);
  Eigen::MatrixXd q = factors.householderQ();
  for (int64_t i = 0; i < size; ++i) {
    if (factors.matrixQR()(i, i) < 0) q.col(i) *= -1;
  }
  return q;
}

class RotatedCheckpoint : public RewrittenCheckpoint {
 public:
  RotatedCheckpoint(std::shared_ptr<const Checkpoint> folded, uint64_t seed)
      : RewrittenCheckpoint(std::move(folded)), q_(RandomOrthogonal(config().hidden_size, seed)) {}

  void Read(const std::string& name, int64_t row_begin, int64_t row_end, float* out) const override {
    const TensorInfo& info = Info(name);
    const StreamUse use = UseOf(name);
    if (use == StreamUse::kWriter) {
      Floats weight(info.rows, info.cols);
      ReadSource(name, 0, info.rows, weight.data());
      Eigen::Map<Floats>(out, row_end - row_begin, info.cols) =
          (q_.middleCols(row_begin, row_end - row_begin).transpose() * weight.cast<double>()).cast<float>();
      return;
    }
    ReadSource(name, row_begin, row_end, out);
    if (use != StreamUse::kEmbedding && use != StreamUse::kReader) return;
    // A few rows at a time, so that an embedding needs no copy of itself in fp64.
    constexpr int64_t kRows = 1024;
    for (int64_t row = row_begin; row < row_end; row += kRows) {
      const int64_t count = std::min(kRows, row_end - row);
      Eigen::Map<Floats> rows(out + (row - row_begin) * info.cols, count, info.cols);
      rows = (rows.cast<double>() * q_).cast<float>().eval();
    }
  }

 private:
  Eigen::MatrixXd q_;
};

class RotateStage : public RewritingStage {
 public:
  explicit RotateStage(const StageValues& values) : seed_(static_cast<uint64_t>(values.Integer("seed"))) {}
  std::shared_ptr<const Checkpoint> Rewrite(std::shared_ptr<const Checkpoint> source) const override {
    return Rotate(std::move(source), seed_);
  }

 private:
  uint64_t seed_;
};

std::unique_ptr<Stage> Make(const StageValues& values) { return std::make_unique<RotateStage>(values); }

}  // namespace

std::shared_ptr<const Checkpoint> Rotate(std::shared_ptr<const Checkpoint> source, uint64_t seed) {
  return std::make_shared<RotatedCheckpoint>(FoldNorms(std::move(source)), seed);
}

StageEntry RotateEntry() {
  StageDescription description;
  description.name = "rotate";
  description.group = "equivalent";
  description.summary =
      "an equivalent model: norms folded and the residual stream turned by a random rotation; unties the "
      "head";
  description.parameters = {
      {"seed", ParameterDescription::Type::kInteger, "0", "of the rotation", 0, 2147483647, {}}};
  description.selector = "all";
  description.takes_embedding = true;
  description.reference = "QuaRot (arXiv 2404.00456), SpinQuant (arXiv 2405.16406); rotation not learned";
  return {description, &Make};
}

}  // namespace tnb
