// Memory in huge pages. Weights are streamed, and with pages of 4 kB the processor's prefetching stops at the
// end of each and the page tables are read along: a machine that read 50 GB/s from huge pages read 22 from
// small ones. The system makes huge pages of whole, aligned 2 MB only, and most weights are smaller than
// that, so that they share slabs.
#include <sys/mman.h>

#include <map>
#include <mutex>
#include <new>
#include <utility>

#include "models/engine/panel.h"

namespace tnb {
namespace {

constexpr size_t kHugePage = size_t{2} << 20, kPage = 4096, kLine = 64;
constexpr size_t kSlab = 8 * kHugePage;

constexpr size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// `bytes` of zeros at a multiple of kHugePage; nothing is used before it is touched.
char* Map(size_t bytes) {
  void* memory =
      ::mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  char* const begin = static_cast<char*>(memory);
  const size_t before =
      RoundUp(reinterpret_cast<uintptr_t>(begin), kHugePage) - reinterpret_cast<uintptr_t>(begin);
  if (before > 0) ::munmap(begin, before);
  if (before < kHugePage) ::munmap(begin + before + bytes, kHugePage - before);
  ::madvise(begin + before, bytes, MADV_HUGEPAGE);  // where the system has none, small pages do
  return begin + before;
}

// Buffers one after the other; no memory is handed out twice, so that all of it is zero.
class Slabs {
 public:
  char* Take(size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (current_ == nullptr || slabs_.at(current_).used + bytes > kSlab) {
      current_ = Map(kSlab);
      slabs_[current_] = {};
    }
    Slab& slab = slabs_.at(current_);
    char* const memory = current_ + slab.used;
    slab.used += bytes;
    ++slab.alive;
    return memory;
  }

  // A slab goes back to the system with its last buffer, and before that the whole pages of every other.
  void Give(char* memory, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto slab = std::prev(slabs_.upper_bound(memory));
    if (--slab->second.alive == 0) {
      ::munmap(slab->first, kSlab);
      if (slab->first == current_) current_ = nullptr;
      slabs_.erase(slab);
      return;
    }
    const auto begin = RoundUp(reinterpret_cast<uintptr_t>(memory), kPage);
    const auto end = reinterpret_cast<uintptr_t>(memory + bytes) / kPage * kPage;
    if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }

 private:
  struct Slab {
    size_t used = 0;
    int64_t alive = 0;
  };
  std::mutex mutex_;
  std::map<char*, Slab> slabs_;  // by begin
  char* current_ = nullptr;
};

// Never destroyed: static objects may hold buffers.
Slabs& AllSlabs() {
  static auto* const slabs = new Slabs;
  return *slabs;
}

bool InSlab(size_t bytes) { return bytes <= kSlab / 2; }

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  data_ = InSlab(bytes) ? AllSlabs().Take(RoundUp(bytes, kLine)) : Map(RoundUp(bytes, kPage));
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

AlignedBuffer::~AlignedBuffer() {
  if (data_ == nullptr) return;
  if (InSlab(bytes_)) {
    AllSlabs().Give(static_cast<char*>(data_), RoundUp(bytes_, kLine));
  } else {
    ::munmap(data_, RoundUp(bytes_, kPage));
  }
}

}  // namespace tnb
