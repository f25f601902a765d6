#include "models/formats/base_logits.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/error.h"

namespace tnb {
namespace {

constexpr double kDeepest = 32;  // nats below the largest log-probability
constexpr double kLargestCode = 65535;
constexpr char kKey[] = "tnbench_base_logits";

std::string RowName(int64_t row) { return "row." + std::to_string(row); }

std::string_view Bytes(const void* data, size_t bytes) { return {static_cast<const char*>(data), bytes}; }

[[noreturn]] void Damaged(const std::string& what, const std::filesystem::path& path) {
  throw Error(ErrorKind::kData, {"the base model's stored log-probabilities are damaged: " + what, "", "",
                                 path.string(), "--force computes them again, or remove the file"});
}

// The tensor, of this type and shape, whose data can be read in place.
const uint8_t* DataOf(const SafetensorsFile& file, const std::string& name, const std::string& dtype,
                      const std::vector<int64_t>& shape) {
  const SafetensorsTensor* tensor = file.Find(name);
  if (tensor == nullptr || tensor->dtype != dtype || tensor->shape != shape ||
      reinterpret_cast<uintptr_t>(tensor->data) % 4 != 0) {
    Damaged(name + " is missing or has another shape", file.path());
  }
  return tensor->data;
}

void CheckToken(TokenId token, int64_t vocabulary) {
  if (token >= 0 && token < vocabulary) return;
  throw Error(ErrorKind::kInternal, "token " + std::to_string(token) + " is outside the vocabulary");
}

}  // namespace

int64_t BaseLogitsBytes(int64_t rows, int64_t vocabulary) { return rows * (2 * vocabulary + 12); }

BaseLogitsWriter::BaseLogitsWriter(const std::filesystem::path& path, const Json& key, int64_t rows,
                                   int64_t vocabulary)
    : writer_(path, static_cast<uint64_t>(4096 + 128 * 2 * rows), {{kKey, key.dump()}}),
      rows_(rows),
      vocabulary_(vocabulary),
      codes_(static_cast<size_t>(vocabulary)) {}

void BaseLogitsWriter::Add(const float* logits, TokenId next) {
  CheckToken(next, vocabulary_);
  const float* end = logits + vocabulary_;
  if (!std::all_of(logits, end, [](float value) { return std::isfinite(value); })) {
    throw Error(ErrorKind::kData, "the base model's logits are not finite", "is its checkpoint damaged?");
  }
  const auto [least, most] = std::minmax_element(logits, end);
  // As it is stored, so that codes and step fit each other to the last bit.
  const auto step = static_cast<float>(std::min(double{*most} - double{*least}, kDeepest) / kLargestCode);
  for (int64_t i = 0; i < vocabulary_; ++i) {
    const double below = step > 0 ? (double{*most} - double{logits[i]}) / double{step} : 0;
    codes_[static_cast<size_t>(i)] = static_cast<uint16_t>(std::min(std::round(below), kLargestCode));
  }
  const std::string_view bytes = Bytes(codes_.data(), codes_.size() * sizeof(uint16_t));
  writer_.Append(RowName(static_cast<int64_t>(steps_.size())), "U16", {vocabulary_}, bytes.data(),
                 bytes.size());
  hash_.Update(bytes);
  steps_.push_back(step);
  tops_.push_back(static_cast<int32_t>(std::max_element(logits, end) - logits));
  double mass = 0;
  for (const float* logit = logits; logit < end; ++logit) mass += std::exp(double{*logit} - double{*most});
  nexts_.push_back(static_cast<float>(double{logits[next]} - double{*most} - std::log(mass)));
}

void BaseLogitsWriter::Finish() {
  if (static_cast<int64_t>(steps_.size()) != rows_) {
    throw Error(ErrorKind::kInternal, {"rows of base logits are missing", std::to_string(rows_),
                                       std::to_string(steps_.size()), "", ""});
  }
  const std::string_view steps = Bytes(steps_.data(), steps_.size() * sizeof(float));
  const std::string_view tops = Bytes(tops_.data(), tops_.size() * sizeof(int32_t));
  writer_.Append("steps", "F32", {rows_}, steps.data(), steps.size());
  const std::string_view nexts = Bytes(nexts_.data(), nexts_.size() * sizeof(float));
  writer_.Append("tops", "I32", {rows_}, tops.data(), tops.size());
  writer_.Append("nexts", "F32", {rows_}, nexts.data(), nexts.size());
  hash_.Update(steps);
  hash_.Update(tops);
  hash_.Update(nexts);
  writer_.SetMetadata("sha256", hash_.Hex());
  writer_.Finish();
}

BaseLogits::BaseLogits(const std::filesystem::path& path, const Json& key, int64_t rows, int64_t vocabulary)
    : file_(path), vocabulary_(vocabulary) {
  const auto& metadata = file_.metadata();
  if (metadata.count(kKey) == 0 || metadata.at(kKey) != key.dump()) {
    Damaged("they are of another model or text", path);
  }
  Sha256 hash;
  const size_t row_bytes = static_cast<size_t>(vocabulary) * sizeof(uint16_t);
  for (int64_t row = 0; row < rows; ++row) {
    const uint8_t* data = DataOf(file_, RowName(row), "U16", {vocabulary});
    hash.Update(data, row_bytes);
    codes_.push_back(reinterpret_cast<const uint16_t*>(data));
  }
  const auto count = static_cast<size_t>(rows);
  steps_.resize(count);
  tops_.resize(count);
  nexts_.resize(count);
  std::memcpy(steps_.data(), DataOf(file_, "steps", "F32", {rows}), count * sizeof(float));
  std::memcpy(tops_.data(), DataOf(file_, "tops", "I32", {rows}), count * sizeof(int32_t));
  std::memcpy(nexts_.data(), DataOf(file_, "nexts", "F32", {rows}), count * sizeof(float));
  hash.Update(steps_.data(), count * sizeof(float));
  hash.Update(tops_.data(), count * sizeof(int32_t));
  hash.Update(nexts_.data(), count * sizeof(float));
  if (metadata.count("sha256") == 0 || metadata.at("sha256") != hash.Hex()) Damaged("wrong checksum", path);
  for (const float step : steps_) {
    if (!(step >= 0 && step <= kDeepest)) Damaged("a step is out of range", path);
  }
}

TokenDrift BaseLogits::Compare(int64_t row, const float* logits, TokenId next) const {
  const uint16_t* codes = codes_.at(static_cast<size_t>(row));
  const double step = steps_[static_cast<size_t>(row)];
  CheckToken(next, vocabulary_);
  const auto n = static_cast<size_t>(vocabulary_);
  const float* most = std::max_element(logits, logits + n);
  double mass = 0, base_mass = 0, weighted = 0;  // weighted: sum of exp(-step * code) * (log p - log q), but
  for (size_t i = 0; i < n; ++i) {               // for both normalizations
    const double below = -step * codes[i], other = double{logits[i]} - double{*most};
    const double p = std::exp(below);
    base_mass += p;
    weighted += p * (below - other);
    mass += std::exp(other);
  }
  const double norm = std::log(mass), base_norm = std::log(base_mass);
  TokenDrift drift;
  drift.kld = weighted / base_mass - base_norm + norm;
  drift.base_log_probability = nexts_[static_cast<size_t>(row)];
  drift.log_probability = double{logits[next]} - double{*most} - norm;
  drift.same_top = most - logits == tops_[static_cast<size_t>(row)];
  return drift;
}

}  // namespace tnb
