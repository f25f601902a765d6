#include "datasets/fewshot.h"

#include <algorithm>

#include "base/error.h"
#include "tests/support/catch.h"

using namespace tnb;

namespace {

std::vector<Json> Numbers(size_t count) {
  std::vector<Json> documents;
  for (size_t i = 0; i < count; ++i) documents.push_back({{"number", i}});
  return documents;
}

}  // namespace

TEST_CASE("draws are those of one CPython generator, document after document") {
  const std::vector<Json> pool = Numbers(7473);
  FewshotSampler sampler({.count = 5}, pool);
  const Json other = {{"number", "none"}};
  // rnd = random.Random(1234); rnd.sample(range(7473), 5), again and again
  CHECK(sampler.Draw(0, other) == std::vector<size_t>{6374, 3610, 957, 61, 742});
  CHECK(sampler.Draw(1, other) == std::vector<size_t>{7462, 6610, 4769, 286, 5501});
  CHECK(sampler.Draw(2, other) == std::vector<size_t>{5677, 687, 806, 6279, 2905});
}

TEST_CASE("with exclusion one more is drawn, and the evaluated document or the last one is dropped") {
  const std::vector<Json> pool = Numbers(1000);
  FewshotSampler sampler({.count = 5, .exclude_evaluated = true}, pool);
  // rnd.sample(range(1000), 6) is 989 796 451 119 7 92, then 932 965 961 826 596 35
  CHECK(sampler.Draw(0, pool[451]) == std::vector<size_t>{989, 796, 119, 7, 92});
  CHECK(sampler.Draw(1, pool[1]) == std::vector<size_t>{932, 965, 961, 826, 596});
}

TEST_CASE("several copies of the evaluated document never become its examples") {
  std::vector<Json> pool(6, Json{{"number", 7}});
  pool.push_back({{"number", 1}});
  pool.push_back({{"number", 2}});
  FewshotSampler sampler({.count = 2, .exclude_evaluated = true}, pool);
  for (size_t i = 0; i < 20; ++i) {
    std::vector<size_t> drawn = sampler.Draw(i, pool[0]);
    std::sort(drawn.begin(), drawn.end());
    CHECK(drawn == std::vector<size_t>{6, 7});
  }
}

TEST_CASE("first_n takes the first in order") {
  const std::vector<Json> pool = Numbers(5);
  FewshotSampler sampler({.count = 2, .sampler = "first_n"}, pool);
  CHECK(sampler.Draw(0, pool[0]) == std::vector<size_t>{0, 1});
  FewshotSampler excluding({.count = 2, .sampler = "first_n", .exclude_evaluated = true}, pool);
  CHECK(excluding.Draw(0, pool[0]) == std::vector<size_t>{1, 2});
}

TEST_CASE("examples by document do not depend on the documents before") {
  const std::vector<Json> pool = Numbers(100);
  FewshotSampler all({.count = 3, .compat = "document"}, pool),
      last({.count = 3, .compat = "document"}, pool);
  const std::vector<size_t> first = all.Draw(0, pool[0]);
  const std::vector<size_t> second = all.Draw(1, pool[1]);
  CHECK(last.Draw(1, pool[1]) == second);
  CHECK(first != second);
}

TEST_CASE("a pool that is too small and unknown names are errors") {
  const std::vector<Json> pool = Numbers(3);
  FewshotSampler sampler({.count = 4}, pool);
  CHECK_THROWS_AS(sampler.Draw(0, pool[0]), Error);
  FewshotSampler first({.count = 4, .sampler = "first_n"}, pool);
  CHECK_THROWS_AS(first.Draw(0, pool[0]), Error);
  CHECK_THROWS_AS(FewshotSampler({.sampler = "last_n"}, pool), Error);
  CHECK_THROWS_AS(FewshotSampler({.compat = "lm_eval"}, pool), Error);
}
