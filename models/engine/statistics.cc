#include "models/engine/statistics.h"

#include <ATen/ATen.h>

#include <cstring>

#include "base/error.h"
#include "models/formats/safetensors.h"

namespace tnb {
namespace {

constexpr char kKey[] = "tnbench_statistics";

class FileStatistics : public Statistics {
 public:
  FileStatistics(const std::string& path, const Json& key) : file_(path), key_(key) {
    const auto entry = file_.metadata().find(kKey);
    if (entry == file_.metadata().end() || entry->second != key.dump()) {
      throw Error(ErrorKind::kData, {"a file of calibration statistics is of something else", key.dump(),
                                     entry == file_.metadata().end() ? "" : entry->second, path,
                                     "remove the file; it is computed again"});
    }
  }
  Json About() const override { return key_; }

 protected:
  at::Tensor Read(const std::string& name) const override {
    const SafetensorsTensor* stored = file_.Find(name);
    if (stored == nullptr) return {};
    if (stored->dtype != "F32") {
      throw Error(ErrorKind::kData, {"calibration statistics of an unexpected type", "F32", stored->dtype,
                                     file_.path().string() + ": " + name, "remove the file"});
    }
    at::Tensor values = at::empty(stored->shape, at::kFloat);
    std::memcpy(values.mutable_data_ptr(), stored->data, stored->bytes);
    file_.Release(*stored);
    return values;
  }

 private:
  SafetensorsFile file_;
  Json key_;
};

}  // namespace

std::string ToString(Moments moments) {
  static const char* const kNames[] = {"inputs",      "output-gradients", "weight-gradients",
                                       "keys-values", "influence",        "joint"};
  return kNames[static_cast<int>(moments)];
}

std::string InputName(const LinearSlot& slot) {
  const std::string prefix = "blocks." + std::to_string(slot.block) + ".";
  switch (slot.kind) {
    case LinearKind::kQ:
    case LinearKind::kK:
    case LinearKind::kV:
      return prefix + "qkv";
    case LinearKind::kGate:
    case LinearKind::kUp:
      return prefix + "gate_up";
    case LinearKind::kO:
    case LinearKind::kDown:
      return prefix + ToString(slot.kind);
    case LinearKind::kEmbedding:
    case LinearKind::kHead:
      break;
  }
  throw Error(ErrorKind::kUnsupported,
              {"there are no calibration statistics of " + slot.name, "linears of the blocks", slot.name, "",
               "leave it out of the selector"});
}

at::Tensor Statistics::Checked(const std::string& name, const std::vector<int64_t>& shape) const {
  const auto text = [](at::IntArrayRef sizes) {
    std::string joined;
    for (const int64_t size : sizes) joined += (joined.empty() ? "" : "x") + std::to_string(size);
    return joined;
  };
  at::Tensor values = Read(name);
  if (!values.defined()) {
    throw Error(ErrorKind::kData, {"calibration statistics are missing", name, "", "", ""});
  }
  if (values.sizes() != at::IntArrayRef(shape)) {
    throw Error(ErrorKind::kData, {"calibration statistics have another shape than the linear", text(shape),
                                   text(values.sizes()), name, ""});
  }
  if (!at::isfinite(values).all().item<bool>()) {
    throw Error(ErrorKind::kData, {"calibration statistics are not finite", "", "NaN or infinity", name,
                                   "is the checkpoint damaged?"});
  }
  return values;
}

at::Tensor Statistics::InputCovariance(const LinearSlot& slot) const {
  const int64_t in = slot.linear->in_features();
  return Checked(InputName(slot) + ".covariance", {in, in});
}

at::Tensor Statistics::FindInputCovariance(const LinearSlot& slot) const {
  if (slot.block < 0 || !Read(InputName(slot) + ".covariance").defined()) return {};
  return InputCovariance(slot);
}

at::Tensor Statistics::MeanAbsoluteInput(const LinearSlot& slot) const {
  return Checked(InputName(slot) + ".mean_absolute", {slot.linear->in_features()});
}

at::Tensor Statistics::LargestInput(const LinearSlot& slot) const {
  return Checked(InputName(slot) + ".max_absolute", {slot.linear->in_features()});
}

at::Tensor Statistics::OutputCovariance(const LinearSlot& slot) const {
  InputName(slot);  // refuses what has no statistics
  const int64_t out = slot.linear->out_features();
  return Checked(slot.name + ".gradient_covariance", {out, out});
}

at::Tensor Statistics::WeightGradients(const LinearSlot& slot) const {
  InputName(slot);
  return Checked(slot.name + ".weight_gradients", {slot.linear->in_features()});
}

at::Tensor Statistics::JointInput(const LinearSlot& slot) const {
  InputName(slot);
  const int64_t in = slot.linear->in_features();
  return Checked(slot.name + ".joint_input", {in, in});
}

at::Tensor Statistics::JointGradient(const LinearSlot& slot) const {
  InputName(slot);
  const int64_t out = slot.linear->out_features();
  return Checked(slot.name + ".joint_gradient", {out, out});
}

namespace {

std::string BlockPrefix(int64_t block) { return "blocks." + std::to_string(block) + "."; }

}  // namespace

at::Tensor Statistics::Keys(int64_t block, const ModelConfig& config) const {
  return Sample(BlockPrefix(block) + "keys", config);
}

at::Tensor Statistics::Values(int64_t block, const ModelConfig& config) const {
  return Sample(BlockPrefix(block) + "values", config);
}

at::Tensor Statistics::Influence() const {
  const at::Tensor values = Read("influence");
  return Checked("influence", {values.defined() ? values.numel() : 0});
}

at::Tensor Statistics::Sample(const std::string& name, const ModelConfig& config) const {
  const at::Tensor values = Read(name);
  const int64_t tokens = values.defined() && values.dim() == 3 ? values.size(0) : 0;
  return Checked(name, {tokens, config.kv_head_count, config.head_size});
}

at::Tensor MemoryStatistics::Read(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? at::Tensor() : found->second;
}

Json StatisticsService::Visit(const StatisticsRequest&, const Walk&) {
  throw Error(ErrorKind::kUnsupported, "a stage walks through the model, and there is none here",
              "compress a model with tnbench run");
}

std::unique_ptr<Statistics> OpenStatistics(const std::string& path, const Json& key) {
  return std::make_unique<FileStatistics>(path, key);
}

struct StatisticsWriter::State {
  SafetensorsWriter writer;
};

StatisticsWriter::StatisticsWriter(const std::string& path, const Json& key, int64_t blocks)
    : state_(new State{
          SafetensorsWriter(path, static_cast<uint64_t>(8192 + blocks * 8 * 256), {{kKey, key.dump()}})}) {}

StatisticsWriter::~StatisticsWriter() = default;

void StatisticsWriter::Add(const std::string& name, const at::Tensor& values) {
  const at::Tensor single = values.to(at::kFloat).contiguous();
  state_->writer.Append(name, "F32", single.sizes().vec(), single.const_data_ptr(), single.nbytes());
}

void StatisticsWriter::Finish() { state_->writer.Finish(); }

}  // namespace tnb
