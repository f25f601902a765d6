// Safetensors files (huggingface/safetensors, README "Format"): 8 bytes little-endian header length, a JSON
// header
// {"name": {"dtype", "shape", "data_offsets": [begin, end)}, "__metadata__": {text: text}}, then the data.
// The reader maps the file and checks the whole header before anything is believed; the writer streams
// tensors of any number in a single pass and leaves a file that other implementations read. tnbench's own
// artefacts are such files.
//
//   SafetensorsWriter writer(path, 1 << 20, {{"format", "pt"}});
//   writer.Append("embedding", "F32", {rows, cols}, data, bytes);
//   writer.Finish();
//
//   const SafetensorsFile file(path);
//   const SafetensorsTensor& tensor = file.Get("embedding");   // tensor.data: tensor.bytes bytes
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/files.h"
#include "base/json.h"

namespace tnb {

struct SafetensorsTensor {
  std::string name;
  std::string dtype;              // "F32" "F16" "BF16" "U8" "I64" ...
  std::vector<int64_t> shape;     // row-major; empty for a scalar, sizes of 0 are legal
  const uint8_t* data = nullptr;  // aligned to 64 bytes in files of our writer, not in general
  uint64_t bytes = 0;
};

// Bytes of one element; 0 for a dtype that the format does not know.
int64_t SafetensorsElementBytes(std::string_view dtype);

// Immutable and thread-safe. Errors are Error{kData} that name the tensor: truncated, header over 100 MB, not
// UTF-8 or not JSON, duplicate names, sizes that lie, ranges that overlap or leave the file. Gaps are
// allowed.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_->path(); }
  // In the order of the data; the writer's padding is left out.
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }
  const SafetensorsTensor* Find(std::string_view name) const;   // null when absent
  const SafetensorsTensor& Get(const std::string& name) const;  // Error{kData} with the nearest name
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  uint64_t FileBytes() const { return file_->size(); }
  // Tells the system that the pages of this tensor are not needed for now.
  void Release(const SafetensorsTensor& tensor) const;
  // The map stays alive as long as somebody holds it.
  const std::shared_ptr<const MappedFile>& map() const { return file_; }

 private:
  void AddTensor(const std::string& name, const Json& entry, uint64_t data_begin);
  void CheckOverlaps() const;

  std::shared_ptr<const MappedFile> file_;
  std::vector<SafetensorsTensor> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

// Writes beside `path` and renames at the end: readers see the old or the whole new file. Every tensor starts
// at a multiple of 64 bytes; the format allows no gaps, so that the room between is a U8 tensor "_padding.N".
// Without Finish, and after any error, nothing remains on disk. A full disk is Error{kIo}. Not thread-safe.
class SafetensorsWriter {
 public:
  // Room for a header of `reserved_header_bytes` is left at the front (about 120 bytes a tensor do); a header
  // that outgrows it costs one more copy of the data.
  SafetensorsWriter(const std::filesystem::path& path, uint64_t reserved_header_bytes,
                    std::map<std::string, std::string> metadata = {});
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  // `bytes` must be what dtype and shape say; Error{kInternal} for that, for a second tensor of the same name
  // and for a name that the format or the writer keeps for itself.
  void Append(const std::string& name, const std::string& dtype, const std::vector<int64_t>& shape,
              const void* data, uint64_t bytes);
  // May be called until Finish.
  void SetMetadata(const std::string& key, const std::string& value) { metadata_[key] = value; }
  void Finish();
  uint64_t data_bytes() const { return position_; }  // padding included

 private:
  void Write(int file, const void* data, uint64_t bytes);
  void AddEntry(const std::string& name, const std::string& dtype, const std::vector<int64_t>& shape,
                uint64_t bytes);
  void MoveDataBehind(uint64_t header_bytes);
  void Abandon();
  [[noreturn]] void Fail(const std::string& action);

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int file_ = -1;
  uint64_t header_bytes_ = 0;  // room after the length field
  uint64_t position_ = 0;      // in the data section
  int64_t paddings_ = 0;
  std::map<std::string, std::string> metadata_;
  Json header_ = Json::object();
};

}  // namespace tnb
