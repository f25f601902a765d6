#include <ATen/ATen.h>

#include "base/error.h"
#include "models/engine/codebook.h"
#include "models/engine/codebook_tables.h"
#include "models/engine/weight_parts.h"

namespace tnb {
namespace {

int64_t WholeBytes(int64_t bits) { return (bits + 7) / 8; }

class CodebookWeight : public Weight {
 public:
  explicit CodebookWeight(Codebooks books) : books_(std::move(books)) {
    if (CodebookTables::Serve(books_)) {
      auto tables = std::make_unique<const CodebookTables>(books_);
      if (tables->Pay(1)) tables_ = std::move(tables);
    }
    if (!tables_) reader_ = std::make_unique<CodebookReader>(books_);
  }

  int64_t rows() const override { return books_.rows; }
  int64_t cols() const override { return books_.cols; }
  // "codebook 64: 32x256", with a tree "codebook 64: 16x200 tree 3 + 16x40", rotated "... rotated 2"
  std::string format() const override {
    std::string text = "codebook " + std::to_string(books_.width) + ":";
    for (size_t i = 0; i < books_.stages.size(); ++i) {
      const CodebookStage& stage = books_.stages[i];
      text += (i == 0 ? " " : " + ") + std::to_string(stage.subspaces) + "x" + std::to_string(stage.words);
      if (stage.layers > 0) text += " tree " + std::to_string(stage.layers);
    }
    if (books_.rotations.defined()) text += " rotated " + std::to_string(books_.cluster_count());
    return text;
  }
  WeightSize size() const override { return SizeOf(books_); }
  bool by_tables() const { return tables_ != nullptr; }
  at::Tensor Dense() const override { return Expand(books_); }

  at::Tensor Rows(const at::Tensor& index) const override {
    const at::Tensor wanted = index.cpu().contiguous();
    at::Tensor out = at::empty({wanted.numel(), cols()}, at::kFloat);
    const Reader reader(*this);
    for (int64_t i = 0; i < wanted.numel(); ++i) {
      const int64_t row = wanted.const_data_ptr<int64_t>()[i];
      TORCH_CHECK(row >= 0 && row < rows(), "row ", row, " of a matrix of ", rows(), " rows");
      for (int64_t v = 0; v < cols() / books_.width; ++v) {
        reader->Vector(row, v, out.mutable_data_ptr<float>() + i * cols() + v * books_.width);
      }
    }
    return out;
  }

  // Entries in fp16 that no tree reorders, stage by stage, then the scales; codes and rotations stay.
  std::vector<at::Tensor> TrainableTensors() const override {
    std::vector<at::Tensor> tensors;
    if (!CodebookTables::Serve(books_)) return tensors;
    for (const CodebookStage& stage : books_.stages) tensors.push_back(stage.values.to(at::kFloat));
    if (books_.scales.defined()) tensors.push_back(books_.scales.to(at::kFloat));
    return tensors;
  }
  at::Tensor DenseOf(const std::vector<at::Tensor>& tensors) const override {
    if (tensors.empty()) return Dense();
    const int64_t n = books_.vectors(), clusters = books_.cluster_count();
    at::Tensor cluster;
    if (clusters > 1) {
      cluster = UnpackIntegers(books_.clusters, BitsFor(clusters), n).to(at::kLong).unsqueeze(1);
    }
    at::Tensor sum;
    for (size_t s = 0; s < books_.stages.size(); ++s) {
      const CodebookStage& stage = books_.stages[s];
      at::Tensor book = at::arange(stage.subspaces, at::kLong);
      if (cluster.defined()) book = book + cluster * stage.subspaces;
      const at::Tensor codes =
          UnpackIntegers(stage.codes, stage.code_bits(), n * stage.subspaces).to(at::kLong);
      const at::Tensor index = codes.view({n, stage.subspaces}) + book * stage.words;
      const at::Tensor entries = tensors.at(s).reshape({-1, books_.width / stage.subspaces});
      const at::Tensor part = at::embedding(entries, index).reshape({n, books_.width});
      sum = s == 0 ? part : sum + part;
    }
    if (books_.rotations.defined()) {
      at::Tensor turned;
      for (int64_t c = 0; c < clusters; ++c) {
        at::Tensor part = at::matmul(sum, books_.rotations[c].to(sum.scalar_type()).t());
        if (clusters > 1) part = part * cluster.eq(c);
        turned = c == 0 ? part : turned + part;
      }
      sum = turned;
    }
    sum = sum.reshape({rows(), cols()});
    return books_.scales.defined() ? sum * tensors.back().unsqueeze(1) : sum;
  }
  WeightPtr WithTrained(const std::vector<at::Tensor>& tensors) const override {
    Codebooks books = books_;
    for (size_t s = 0; s < books.stages.size(); ++s) {
      at::Tensor& values = books.stages[s].values;
      values = tensors.at(s).to(at::kHalf).view(values.sizes()).contiguous();
    }
    if (books.scales.defined()) books.scales = tensors.back().to(at::kHalf);
    return std::make_shared<CodebookWeight>(std::move(books));
  }

  Json Save(const TensorSink& sink) const override {
    Json stages = Json::array();
    for (size_t i = 0; i < books_.stages.size(); ++i) {
      const CodebookStage& stage = books_.stages[i];
      const std::string prefix = ".stage" + std::to_string(i);
      // Codebooks of one entry, and of a cache, have no codes.
      if (stage.codes.numel() > 0) sink(prefix + ".codes", stage.codes);
      sink(prefix + ".values", stage.values);
      if (stage.layers > 0 && stage.maps.numel() > 0) sink(prefix + ".maps", stage.maps);
      Json json = {{"subspaces", stage.subspaces},
                   {"words", stage.words},
                   {"layers", stage.layers},
                   {"value_bits", stage.value_bits}};
      if (stage.value_bits < 16) {
        sink(prefix + ".range", at::tensor({stage.step, stage.minimum}));
      }
      stages.push_back(json);
    }
    if (books_.scales.defined()) sink(".scales", books_.scales);
    if (books_.rotations.defined()) sink(".rotations", books_.rotations);
    if (books_.clusters.defined()) sink(".clusters", books_.clusters);
    return {{"format", "codebook"},
            {"width", books_.width},
            {"stages", stages},
            {"scales", books_.scales.defined()},
            {"clusters", books_.rotations.defined() ? books_.cluster_count() : 0}};
  }

 protected:
  void MatmulCpu(const at::Tensor& x, at::Tensor& y) const override {
    const int64_t n = x.size(0);
    const float* from = x.const_data_ptr<float>();
    float* to = y.mutable_data_ptr<float>();
    if (tables_ && tables_->Pay(n)) return tables_->Matmul(from, x.stride(0), n, to, y.stride(0));
    ReaderMatmul(*Reader(*this), rows(), cols(), from, x.stride(0), n, to, y.stride(0));
  }

 private:
  // The reader that is kept, or one for many tokens at once.
  class Reader {
   public:
    explicit Reader(const CodebookWeight& weight)
        : own_(weight.reader_ ? nullptr : std::make_unique<CodebookReader>(weight.books_)),
          reader_(own_ ? own_.get() : weight.reader_.get()) {}
    const CodebookReader& operator*() const { return *reader_; }
    const CodebookReader* operator->() const { return reader_; }

   private:
    std::unique_ptr<const CodebookReader> own_;
    const CodebookReader* reader_;
  };

  const Codebooks books_;
  // For few tokens, where the format allows it. A reader has the entries as fp32: it is kept only where few
  // tokens need it too.
  std::unique_ptr<const CodebookTables> tables_;
  std::unique_ptr<const CodebookReader> reader_;
};

}  // namespace

WeightSize SizeOf(const Codebooks& books) {
  const int64_t clusters = books.cluster_count(), vectors = books.vectors();
  WeightSize size;
  const auto add_codes = [&](int64_t bits) { size += {0, bits, WholeBytes(bits)}; };
  const auto add_halves = [&](int64_t count) { size += {count, 0, 2 * count}; };
  for (const CodebookStage& stage : books.stages) {
    add_codes(vectors * stage.subspaces * stage.code_bits());
    add_codes(vectors * books.width / 2 * stage.layers);
    const int64_t values = clusters * stage.words * books.width;
    if (stage.value_bits == 16) {
      add_halves(values);
    } else {
      add_codes(values * stage.value_bits);
      size += {2, 0, 8};
    }
  }
  if (books.scales.defined()) add_halves(books.rows);
  if (books.rotations.defined()) add_halves(clusters * books.width * books.width);
  if (books.clusters.defined()) add_codes(vectors * BitsFor(clusters));
  return size;
}

bool MultipliesByTables(const Weight& weight) {
  const auto* codebooks = dynamic_cast<const CodebookWeight*>(&weight);
  return codebooks != nullptr && codebooks->by_tables();
}

WeightPtr MakeCodebookWeight(Codebooks books) { return std::make_shared<CodebookWeight>(std::move(books)); }

Codebooks LoadCodebooks(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                        const std::string& where) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::kData,
                {"codebook weight: " + what, "", json.dump(), where, "compress the model again"});
  };
  Codebooks books;
  books.rows = rows;
  books.cols = cols;
  books.width = Require<int64_t>(json, "width", where);
  if (books.width < 1 || cols % books.width != 0) fail("vectors that do not divide the columns");
  const auto clusters = Require<int64_t>(json, "clusters", where);
  if (clusters < 0 || clusters > 256) fail("an impossible number of clusters");
  const auto halves = [&](const std::string& name, const std::vector<int64_t>& shape) {
    at::Tensor values = source(name);
    CheckTensor(values, at::kHalf, shape, where);
    CheckFinite(values, where);
    return values;
  };
  const auto packed = [&](const std::string& name, int64_t bits) {
    if (bits == 0) return at::zeros({0}, at::kByte);
    at::Tensor values = source(name);
    CheckTensor(values, at::kByte, {WholeBytes(bits)}, where);
    return values;
  };
  // Codes above the last entry would be read from beyond a table.
  const auto codes = [&](const std::string& name, int64_t count, int64_t limit) {
    at::Tensor values = packed(name, count * BitsFor(limit));
    if (values.numel() > 0 && UnpackIntegers(values, BitsFor(limit), count).max().item<int64_t>() >= limit) {
      fail("a code without an entry");
    }
    return values;
  };
  if (Require<bool>(json, "scales", where)) books.scales = halves(".scales", {rows});
  if (clusters > 0) books.rotations = halves(".rotations", {clusters, books.width, books.width});
  if (clusters > 1) books.clusters = codes(".clusters", books.vectors(), clusters);
  for (const Json& entry : Require<Json>(json, "stages", where)) {
    CodebookStage stage;
    stage.subspaces = Require<int64_t>(entry, "subspaces", where);
    stage.words = Require<int64_t>(entry, "words", where);
    stage.layers = Require<int64_t>(entry, "layers", where);
    stage.value_bits = Require<int64_t>(entry, "value_bits", where);
    if (stage.subspaces < 1 || books.width % stage.subspaces != 0 || stage.words < 1 || stage.words > 65536 ||
        stage.layers < 0 || stage.layers > 16 || books.width % (int64_t{1} << stage.layers) != 0 ||
        stage.value_bits < 1 || stage.value_bits > 16) {
      fail("an impossible stage");
    }
    const std::string prefix = ".stage" + std::to_string(books.stages.size());
    stage.codes = codes(prefix + ".codes", books.vectors() * stage.subspaces, stage.words);
    const int64_t values = books.cluster_count() * stage.words * books.width;
    if (stage.value_bits == 16) {
      stage.values = halves(prefix + ".values", {books.cluster_count(), stage.subspaces, stage.words,
                                                 books.width / stage.subspaces});
    } else {
      stage.values = packed(prefix + ".values", values * stage.value_bits);
      const at::Tensor range = source(prefix + ".range");
      CheckTensor(range, at::kFloat, {2}, where);
      CheckFinite(range, where);
      stage.step = range[0].item<float>();
      stage.minimum = range[1].item<float>();
    }
    if (stage.layers > 0)
      stage.maps = packed(prefix + ".maps", books.vectors() * books.width / 2 * stage.layers);
    books.stages.push_back(std::move(stage));
  }
  if (books.stages.empty()) fail("no stage");
  return books;
}

WeightPtr LoadCodebook(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                       const std::string& where) {
  return MakeCodebookWeight(LoadCodebooks(json, source, rows, cols, where));
}

}  // namespace tnb
