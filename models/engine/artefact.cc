#include "models/engine/artefact.h"

#include <ATen/ATen.h>

#include <map>

#include "base/error.h"
#include "models/formats/safetensors.h"

namespace tnb {
namespace {

const char kKey[] = "tnbench";
constexpr int kVersion = 1;

const std::map<at::ScalarType, std::string>& TypeNames() {
  static const std::map<at::ScalarType, std::string> names = {{at::kFloat, "F32"},
                                                              {at::kHalf, "F16"},
                                                              {at::kBFloat16, "BF16"},
                                                              {at::kByte, "U8"},
                                                              {at::kLong, "I64"}};
  return names;
}

Json ToJson(const ModelSource& source) {
  static const char* const kKinds[] = {"none", "hugging-face", "gguf", "sentencepiece", "llama2c"};
  return {{"name", source.name},
          {"path", source.path},
          {"hash", source.hash},
          {"random_weights", source.random_weights},
          {"tokenizer",
           {{"kind", kKinds[static_cast<int>(source.tokenizer.kind)]},
            {"path", source.tokenizer.path.string()}}}};
}

ModelSource SourceFromJson(const Json& json, const std::string& where) {
  ModelSource source;
  source.name = Require<std::string>(json, "name", where);
  source.path = Require<std::string>(json, "path", where);
  source.hash = Require<std::string>(json, "hash", where);
  source.random_weights = Require<bool>(json, "random_weights", where);
  const Json tokenizer = Require<Json>(json, "tokenizer", where);
  const auto kind = Require<std::string>(tokenizer, "kind", where);
  using Kind = TokenizerSource::Kind;
  const std::map<std::string, Kind> kinds = {{"none", Kind::kNone},
                                             {"hugging-face", Kind::kHuggingFaceDirectory},
                                             {"gguf", Kind::kGguf},
                                             {"sentencepiece", Kind::kSentencePiece},
                                             {"llama2c", Kind::kLlama2c}};
  if (kinds.count(kind) == 0) {
    throw Error(ErrorKind::kData, {"unknown kind of tokenizer", "", kind, where, "compress the model again"});
  }
  source.tokenizer = {kinds.at(kind), Require<std::string>(tokenizer, "path", where)};
  return source;
}

Json ParseMetadata(const SafetensorsFile& file) {
  const auto entry = file.metadata().find(kKey);
  if (entry == file.metadata().end()) {
    throw Error(ErrorKind::kData, {"not an artefact: the header has no 'tnbench' entry", "", "",
                                   file.path().string(), "pass the file that the compress phase wrote"});
  }
  const std::string where = file.path().string();
  Json json = ParseJson(entry->second, where);
  if (const int version = Require<int>(json, "version", where); version != kVersion) {
    throw Error(ErrorKind::kData, {"artefact of another version", std::to_string(kVersion),
                                   std::to_string(version), where, "compress the model again"});
  }
  return json;
}

// A copy of a stored tensor, so that the file can be unmapped.
at::Tensor ReadTensor(const SafetensorsFile& file, const std::string& name) {
  const SafetensorsTensor& stored = file.Get(name);
  for (const auto& [dtype, type_name] : TypeNames()) {
    if (type_name != stored.dtype) continue;
    at::Tensor tensor = at::empty(stored.shape, dtype);
    std::memcpy(tensor.mutable_data_ptr(), stored.data, stored.bytes);
    file.Release(stored);
    return tensor;
  }
  throw Error(ErrorKind::kData, {"tensor of an unexpected type", "F32 F16 BF16 U8 I64", stored.dtype,
                                 file.path().string() + ": " + name, ""});
}

}  // namespace

struct ArtefactWriter::State {
  SafetensorsWriter writer;
  Json metadata;
};

ArtefactWriter::ArtefactWriter(const std::filesystem::path& path, const ModelConfig& config,
                               const ModelSource& source, const std::string& method)
    // Room for the structure of every linear: about 1 kB each with all its tensors.
    : state_(new State{SafetensorsWriter(path, static_cast<uint64_t>(1 << 16) +
                                                   static_cast<uint64_t>(config.block_count) * 7 * 2048),
                       Json{{"version", kVersion},
                            {"config", tnb::ToJson(config)},
                            {"source", ToJson(source)},
                            {"method", method},
                            {"linears", Json::object()}}}) {}

ArtefactWriter::~ArtefactWriter() = default;

namespace {

void AppendTensor(SafetensorsWriter& writer, const std::string& name, const at::Tensor& tensor) {
  const at::Tensor values = tensor.cpu().contiguous();
  writer.Append(name, TypeNames().at(values.scalar_type()), values.sizes().vec(), values.const_data_ptr(),
                values.nbytes());
}

}  // namespace

void ArtefactWriter::AddNorm(const std::string& name, const at::Tensor& values) {
  AppendTensor(state_->writer, name, values);
}

void ArtefactWriter::AddLinear(const std::string& name, const Linear& linear) {
  state_->metadata["linears"][name] = linear.Save([&](const std::string& suffix, const at::Tensor& tensor) {
    AppendTensor(state_->writer, name + suffix, tensor);
  });
}

void ArtefactWriter::SetCache(const CacheCodec& codec) {
  state_->metadata["cache"] = codec.Save([&](const std::string& suffix, const at::Tensor& tensor) {
    AppendTensor(state_->writer, "cache" + suffix, tensor);
  });
}

void ArtefactWriter::Finish() {
  state_->writer.SetMetadata(kKey, state_->metadata.dump());
  state_->writer.Finish();
}

ArtefactInfo ReadArtefactInfo(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const Json json = ParseMetadata(file);
  const std::string where = path.string();
  ArtefactInfo info;
  info.config = ConfigFromJson(Require<Json>(json, "config", where), where);
  info.source = SourceFromJson(Require<Json>(json, "source", where), where);
  info.method = Require<std::string>(json, "method", where);
  return info;
}

Model LoadArtefact(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const Json json = ParseMetadata(file);
  const std::string where = path.string();
  const Json linears = Require<Json>(json, "linears", where);
  const auto norm = [&](const std::string& name, int64_t size) {
    at::Tensor values = ReadTensor(file, name);
    if (values.scalar_type() != at::kFloat || values.dim() != 1 || values.size(0) != size ||
        !at::isfinite(values).all().item<bool>()) {
      throw Error(ErrorKind::kData, {"a norm has the wrong shape or type, or is not finite",
                                     std::to_string(size) + " fp32 values", std::to_string(values.numel()),
                                     where + ": " + name, "compress the model again"});
    }
    return values;
  };
  const auto fill = [&](const LinearSlot& slot, int64_t rows, int64_t cols) {
    const std::string here = where + ": " + slot.name;
    std::unique_ptr<Linear> linear = LoadLinear(
        Require<Json>(linears, slot.name, where),
        [&](const std::string& suffix) { return ReadTensor(file, slot.name + suffix); }, here);
    if (linear->out_features() != rows || linear->in_features() != cols) {
      throw Error(ErrorKind::kData,
                  {"a linear has another shape than the config says",
                   std::to_string(rows) + "x" + std::to_string(cols),
                   std::to_string(linear->out_features()) + "x" + std::to_string(linear->in_features()), here,
                   "compress the model again"});
    }
    return linear;
  };
  Model model = BuildModel(ConfigFromJson(Require<Json>(json, "config", where), where), norm, fill);
  model.source = SourceFromJson(Require<Json>(json, "source", where), where);
  if (json.contains("cache")) {
    model.cache = LoadCacheCodec(
        json.at("cache"), [&](const std::string& suffix) { return ReadTensor(file, "cache" + suffix); },
        model.config, where + ": cache");
  }
  return model;
}

void SaveArtefact(const std::filesystem::path& path, const Model& model, const std::string& method) {
  ArtefactWriter writer(path, model.config, model.source, method);
  for (const LinearSlot* slot : model.Slots()) writer.AddLinear(slot->name, *slot->linear);
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    const std::string prefix = "blocks." + std::to_string(i) + ".";
    writer.AddNorm(prefix + "attention_norm", model.blocks[i].attention_norm);
    writer.AddNorm(prefix + "mlp_norm", model.blocks[i].mlp_norm);
  }
  writer.AddNorm("final_norm", model.final_norm);
  if (model.cache) writer.SetCache(*model.cache);
  writer.Finish();
}

}  // namespace tnb
