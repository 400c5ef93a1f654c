// A name of at most fifteen bytes as one vector, zero behind its last byte. In C because Swift has no word for the
// instruction that multiplies and adds pairs (SSE2, which every x86-64 has). Measured by J3.hit.
#ifndef SHORT_NAME_H
#define SHORT_NAME_H

#include <emmintrin.h>
#include <stdbool.h>
#include <stdint.h>

static inline __m128i hl_short_name(uint64_t low, uint64_t high) {
  return _mm_set_epi64x((long long)high, (long long)low);
}

// The GNU hash, h = h * 33 + c from 5381 on. Sixteen bytes are hashed: bytes become pairs of 16 bits, pairs fours of
// 32, whose sum is weighed. The zeroes behind the name multiplied it by 33 as often as there are of them, which its
// inverse modulo 2^32 takes back.
static inline uint32_t hl_short_name_hash(uint64_t low, uint64_t high, uint64_t count) {
  static const uint32_t inverse[16] = {
      0xd0aa1e01, 0xe5edde21, 0xa3a9a241, 0x18ddea61, 0x349b3681, 0xc80206a1, 0xc842dac1, 0xd09e32e1,
      0xe4648f01, 0x70f66f21, 0x8fc45341, 0x884ebb61, 0x92262781, 0xd6eb17a1, 0xb44e0bc1, 0x3e0f83e1,
  };
  __m128i name = hl_short_name(low, high);
  __m128i first = _mm_and_si128(name, _mm_set1_epi16(0x00FF));
  __m128i pairs = _mm_add_epi16(_mm_mullo_epi16(first, _mm_set1_epi16(33)), _mm_srli_epi16(name, 8));
  __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(1 << 16 | 1089));
  // 33 to the power of 12 and 4, then of 8 and 0.
  __m128i even = _mm_mul_epu32(fours, _mm_set_epi64x(0x121881, 0x4f5f0981));
  __m128i odd = _mm_mul_epu32(_mm_srli_epi64(fours, 32), _mm_set_epi64x(1, 0x747c7101));
  __m128i sum = _mm_add_epi64(even, odd);
  sum = _mm_add_epi64(sum, _mm_unpackhi_epi64(sum, sum));
  // 5381 times 33 to the power of 16.
  return ((uint32_t)_mm_cvtsi128_si32(sum) + 0xbdcb7f05) * inverse[count & 15];
}

// Whether the name and a NUL stand at `text`, where sixteen bytes can be read.
static inline bool hl_short_name_is_at(const void *text, uint64_t low, uint64_t high, uint64_t count) {
  __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)text), hl_short_name(low, high));
  return ~(uint32_t)_mm_movemask_epi8(same) << (~count & 31) == 0;
}

#endif
