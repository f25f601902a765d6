#include <ATen/ATen.h>

#include <algorithm>
#include <random>

#include "methods/equivalent/equivalent.h"
#include "methods/equivalent/rewritten.h"

namespace tnb {
namespace {

// Haar distributed: the orthogonal factor of a Gaussian matrix, its columns' signs fixed by the diagonal of
// the triangular one (Mezzadri, "How to generate random matrices from the classical compact groups", 2007).
at::Tensor RandomOrthogonal(int64_t size, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  at::Tensor gaussian = at::empty({size, size}, at::kDouble);
  std::generate_n(gaussian.mutable_data_ptr<double>(), size * size, [&] { return normal(generator); });
  const auto [orthogonal, triangular] = at::linalg_qr(gaussian);
  return orthogonal * at::where(triangular.diagonal() < 0, -1.0, 1.0);
}

// Floats that belong to the caller as a matrix [rows, columns].
at::Tensor Matrix(float* data, int64_t rows, int64_t columns) {
  return at::from_blob(data, {rows, columns}, at::kFloat);
}

class RotatedCheckpoint : public RewrittenCheckpoint {
 public:
  RotatedCheckpoint(std::shared_ptr<const Checkpoint> folded, uint64_t seed)
      : RewrittenCheckpoint(std::move(folded)), q_(RandomOrthogonal(config().hidden_size, seed)) {}

  void Read(const std::string& name, int64_t row_begin, int64_t row_end, float* out) const override {
    const TensorInfo& info = Info(name);
    const StreamUse use = UseOf(name);
    if (use == StreamUse::kWriter) {
      at::Tensor weight = at::empty({info.rows, info.cols}, at::kFloat);
      ReadSource(name, 0, info.rows, weight.mutable_data_ptr<float>());
      Matrix(out, row_end - row_begin, info.cols)
          .copy_(at::mm(q_.slice(1, row_begin, row_end).t(), weight.to(at::kDouble)));
      return;
    }
    ReadSource(name, row_begin, row_end, out);
    if (use != StreamUse::kEmbedding && use != StreamUse::kReader) return;
    // A few rows at a time, so that an embedding needs no copy of itself in fp64.
    constexpr int64_t kRows = 1024;
    for (int64_t row = row_begin; row < row_end; row += kRows) {
      at::Tensor rows =
          Matrix(out + (row - row_begin) * info.cols, std::min(kRows, row_end - row), info.cols);
      rows.copy_(at::mm(rows.to(at::kDouble), q_));
    }
  }

 private:
  at::Tensor q_;  // [hidden, hidden], fp64
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
  return {description, &MakeStage<RotateStage>};
}

}  // namespace tnb
