#include "models/engine/bits.h"

#include <ATen/ATen.h>

#include <bit>

#include "models/engine/weight.h"

namespace tnb {
namespace {

template <typename T>
void Pack(const T* from, int64_t count, int64_t bits, uint8_t* to) {
  uint32_t pending = 0;
  int64_t held = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t code{from[i]};
    TORCH_CHECK(code >> bits == 0, "a code does not fit into its bits");
    pending |= static_cast<uint32_t>(code) << held;
    for (held += bits; held >= 8; held -= 8, pending >>= 8) *to++ = static_cast<uint8_t>(pending);
  }
  if (held > 0) *to = static_cast<uint8_t>(pending);
}

template <typename T>
void Unpack(const uint8_t* from, int64_t count, int64_t bits, T* to) {
  const uint32_t mask = (uint32_t{1} << bits) - 1;
  uint32_t pending = 0;
  int64_t held = 0;
  for (int64_t i = 0; i < count; ++i) {
    for (; held < bits; held += 8) pending |= static_cast<uint32_t>(*from++) << held;
    to[i] = static_cast<T>(pending & mask);
    pending >>= bits;
    held -= bits;
  }
}

at::Tensor Whole(const at::Tensor& packed, int64_t bits, int64_t count) {
  TORCH_CHECK(packed.numel() >= (count * bits + 7) / 8, "fewer bytes than ", count, " codes need");
  return packed.contiguous();
}

}  // namespace

int64_t BitsFor(int64_t count) {
  return count <= 1 ? 0 : static_cast<int64_t>(std::bit_width(static_cast<uint64_t>(count - 1)));
}

at::Tensor PackBits(const at::Tensor& codes, int bits) {
  TORCH_CHECK(bits >= 0 && bits <= 16, "codes of ", bits, " bits");
  const bool bytes = codes.scalar_type() == at::kByte;
  const at::Tensor source = codes.reshape({-1}).to(bytes ? at::kByte : at::kInt).contiguous();
  if (bytes && bits == 8) return source;
  at::Tensor packed = at::empty({(source.numel() * bits + 7) / 8}, at::kByte);
  uint8_t* to = packed.mutable_data_ptr<uint8_t>();
  if (bytes) {
    Pack(source.const_data_ptr<uint8_t>(), source.numel(), bits, to);
  } else {
    Pack(source.const_data_ptr<int32_t>(), source.numel(), bits, to);
  }
  return packed;
}

at::Tensor UnpackBits(const at::Tensor& packed, int bits, int64_t count) {
  TORCH_CHECK(bits >= 0 && bits <= 8, "bytes of ", bits, " bits");
  if (bits == 8) return packed;
  const at::Tensor source = Whole(packed, bits, count);
  at::Tensor codes = at::empty({count}, at::kByte);
  Unpack(source.const_data_ptr<uint8_t>(), count, bits, codes.mutable_data_ptr<uint8_t>());
  return codes;
}

at::Tensor UnpackIntegers(const at::Tensor& packed, int64_t bits, int64_t count) {
  TORCH_CHECK(bits >= 0 && bits <= 16, "codes of ", bits, " bits");
  const at::Tensor source = Whole(packed, bits, count);
  at::Tensor codes = at::empty({count}, at::kInt);
  Unpack(source.const_data_ptr<uint8_t>(), count, bits, codes.mutable_data_ptr<int32_t>());
  return codes;
}

}  // namespace tnb
