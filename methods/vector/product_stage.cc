#include "methods/vector/product_stage.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "methods/vector/product_options.h"

namespace tnb {
namespace {

class Product : public Stage {
 public:
  Product(ProductMethod method, const StageValues& values)
      : options_(ProductOptionsFrom(method, values)),
        bits_(values.Real("bits")),
        width_(values.Integer("width")) {}

  LinearReport Apply(LinearSlot& slot) const override {
    LinearReport report;
    for (int64_t i = 0; i < slot.linear->weight_count(); ++i) {
      const at::Tensor w = slot.linear->weight(i)->Dense();
      const int64_t layers = options_.method == ProductMethod::kQet
                                 ? *std::max_element(options_.layers.begin(), options_.layers.end())
                                 : 0;
      const int64_t width = VectorWidth(w.size(1), width_, int64_t{1} << layers);
      ProductOptions options = options_;
      options.bytes = static_cast<int64_t>(bits_ * static_cast<double>(w.numel()) / 8);
      Codebooks books = options.subspaces == 0 ? QuantizeProductBest(w, width, options)
                                               : QuantizeProduct(w, width, options);
      report.detail["subspaces"].push_back(books.stages[0].subspaces);
      report.detail["words"].push_back(books.stages[0].words);
      slot.linear->ReplaceWeight(i, MakeCodebookWeight(std::move(books)));
    }
    return report;
  }

 private:
  ProductOptions options_;
  double bits_;
  int64_t width_;
};

template <ProductMethod kMethod>
std::unique_ptr<Stage> MakeProductStage(const StageValues& values) {
  return std::make_unique<Product>(kMethod, values);
}

using Type = ParameterDescription::Type;

StageDescription Describe(ProductMethod method, const std::string& name, const std::string& summary,
                          const std::string& reference) {
  StageDescription description;
  description.name = name;
  description.group = "vector";
  description.summary = summary;
  description.reference = reference;
  description.selector = "attn/mlp";
  description.takes_embedding = true;
  description.parameters = ProductParameters(method);
  description.parameters.push_back(
      {"width", Type::kInteger, "64",
       "columns of a vector: the largest divisor of a matrix's columns up to this", 1, 65536});
  return description;
}

}  // namespace

int64_t VectorWidth(int64_t cols, int64_t wanted, int64_t unit) {
  for (int64_t width = std::min(cols, wanted); width > 0; --width) {
    if (cols % width == 0 && width % unit == 0) return width;
  }
  throw Error(ErrorKind::kUnsupported,
              {"the columns of a matrix cannot be cut into vectors",
               "a divisor of the columns that is a multiple of " + std::to_string(unit), std::to_string(cols),
               "", "use another width or fewer layers, or leave the matrix out of the selector"});
}

StageEntry PqEntry() {
  return {Describe(ProductMethod::kPq, "pq",
                   "product quantization: pieces of rows by the nearest entry of a codebook each",
                   "Jegou, Douze and Schmid, IEEE TPAMI 2011"),
          &MakeProductStage<ProductMethod::kPq>};
}

StageEntry OpqEntry() {
  return {Describe(ProductMethod::kOpq, "opq",
                   "product quantization after a rotation that is learned with the codebooks",
                   "Ge, He, Ke and Sun, IEEE TPAMI 2014"),
          &MakeProductStage<ProductMethod::kOpq>};
}

StageEntry LopqEntry() {
  StageDescription description = Describe(
      ProductMethod::kLopq, "lopq", "clusters of vectors, each with a rotation and codebooks of its own",
      "Kalantidis and Avrithis, CVPR 2014, as in the release of QET");
  return {description, &MakeProductStage<ProductMethod::kLopq>};
}

StageEntry QetEntry() {
  StageDescription description = Describe(
      ProductMethod::kQet, "qet",
      "Quantum Entanglement Trees: pairs of columns in order, product quantization, and of the residual",
      "arXiv 2407.03637, as in the authors' release (layers [3,0], 0.7/0.3, 10-bit codebooks)");
  return {description, &MakeProductStage<ProductMethod::kQet>};
}

}  // namespace tnb
