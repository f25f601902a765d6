// The trainer's state as a file: a safetensors file with masters and moments, so that a killed training goes
// on to the same bits.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cstring>

#include "base/error.h"
#include "models/formats/safetensors.h"
#include "models/training/trainer_state.h"

namespace tnb {
namespace {

const char kKey[] = "tnbench_training";
constexpr int kVersion = 2;  // 2: the curve has the loss of hidden states

std::string Name(const char* part, size_t index) { return std::string(part) + "." + std::to_string(index); }

void Append(SafetensorsWriter& writer, const std::string& name, const at::Tensor& values) {
  const at::Tensor stored = values.detach().contiguous();
  writer.Append(name, "F32", stored.sizes().vec(), stored.const_data_ptr(), stored.nbytes());
}

void Read(const SafetensorsFile& file, const std::string& name, at::Tensor& values) {
  const SafetensorsTensor& stored = file.Get(name);
  if (stored.dtype != "F32" || at::IntArrayRef(stored.shape) != values.sizes()) {
    throw Error(ErrorKind::kData, {"a checkpoint belongs to another model or selection", "", stored.dtype,
                                   file.path().string() + ": " + name, "remove the file to begin again"});
  }
  std::memcpy(values.mutable_data_ptr(), stored.data, stored.bytes);
}

}  // namespace

void Trainer::SaveCheckpoint(const std::filesystem::path& path, const std::string& key,
                             const Json& note) const {
  const Json state = {{"version", kVersion},
                      {"key", key},
                      {"step", state_->step},
                      {"tensors", state_->leaves.size()},
                      {"note", note}};
  SafetensorsWriter writer(path, 4096 + 400 * state_->leaves.size(), {{kKey, state.dump()}});
  for (size_t i = 0; i < state_->leaves.size(); ++i) {
    Append(writer, Name("value", i), state_->leaves[i]);
    Append(writer, Name("first", i), state_->first_moments[i]);
    Append(writer, Name("second", i), state_->second_moments[i]);
  }
  writer.Finish();
}

std::optional<Json> Trainer::LoadCheckpoint(const std::filesystem::path& path, const std::string& key) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const c10::NoGradGuard no_gradients;
  const SafetensorsFile file(path);
  const std::string where = path.string();
  const auto entry = file.metadata().find(kKey);
  if (entry == file.metadata().end())
    throw Error(ErrorKind::kData, {"not a checkpoint of a training", "", "", where, ""});
  const Json state = ParseJson(entry->second, where);
  if (Require<std::string>(state, "key", where) != key) return std::nullopt;
  if (Require<int>(state, "version", where) != kVersion ||
      Require<size_t>(state, "tensors", where) != state_->leaves.size()) {
    throw Error(ErrorKind::kData, {"a checkpoint belongs to another model or version",
                                   std::to_string(state_->leaves.size()) + " tensors",
                                   state.at("tensors").dump(), where, "remove the file to begin again"});
  }
  for (size_t i = 0; i < state_->leaves.size(); ++i) {
    at::Tensor values = state_->leaves[i].detach();  // shares its memory
    Read(file, Name("value", i), values);
    Read(file, Name("first", i), state_->first_moments[i]);
    Read(file, Name("second", i), state_->second_moments[i]);
  }
  state_->step = Require<int64_t>(state, "step", where);
  state_->taken.fill_(static_cast<float>(state_->step));
  return Require<Json>(state, "note", where);
}

}  // namespace tnb
