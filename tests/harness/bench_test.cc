// tnbench bench: its arithmetic, that every test asked for is measured, and that the record keeps it.
#include "harness/bench.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/bench_sweep.h"
#include "harness/facts.h"
#include "reports/noise.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::Program;

TEST_CASE("the limit is reading or computing, whichever takes longer") {
  const MachineLimits limits{.threads = 2, .read_bytes = 50e9, .f32 = 200e9, .bf16 = 400e9, .int8 = 800e9};
  CHECK(limits.Least(100e9, 200e9, "fp32") == Approx(2));  // reading
  CHECK(limits.Least(10e9, 800e9, "fp32") == Approx(4));   // computing
  CHECK(limits.Least(10e9, 800e9, "bf16") == Approx(2));
  CHECK(limits.Least(10e9, 800e9, "int4 g32 sym") == Approx(1));
  CHECK(limits.Least(0, 800e9, "int8 row act=fp32") == Approx(4));  // computes in fp32
  CHECK(limits.Least(0, 800e9, "bf16 act=fp32") == Approx(4));
  const MachineLimits old{.read_bytes = 50e9, .f32 = 200e9, .bf16 = 0, .int8 = 800e9};
  CHECK(old.Least(0, 800e9, "bf16") == Approx(4));  // no bf16 dot products: widened
}

TEST_CASE("kernels are timed with the bytes that they store") {
  for (const std::string& format : KernelFormats()) {
    CAPTURE(format);
    const std::vector<KernelTime> times =
        MeasureKernels(format, 1000, 512, {16, 1}, {{.threads = 1}, {.threads = 2}}, 2);
    REQUIRE(times.size() == 4);
    CHECK(times[0].tokens == 16);
    CHECK(times[1].tokens == 1);
    CHECK(times[2].limits == 1);
    for (const KernelTime& time : times) {
      REQUIRE(time.seconds.size() == 2);
      CHECK(time.seconds[0] > 0);
      const int64_t values = 1000 * 512;
      const std::map<std::string, int64_t> bytes = {
          {"fp32", 4 * values},
          {"bf16", 2 * values},
          {"fp16", 2 * values},
          {"int8", values + 2 * 1000},
          {"int8 g32", values + values / 16},
          {"int4 g32", values / 2 + values / 16},
          {"codebook 2x8 g8", values / 4 + 2 * 2 * 256 * 8 + 2 * 1000}};
      CHECK(time.bytes == bytes.at(format));
    }
  }
}

TEST_CASE("the least of a sweep's test counts what the model stores and computes") {
  SweepRequest request;
  request.config = {.vocabulary_size = 256,
                    .hidden_size = 64,
                    .intermediate_size = 96,
                    .block_count = 2,
                    .head_count = 2,
                    .kv_head_count = 1,
                    .head_size = 32,
                    .context_length = 64};
  request.methods = {"fp32"};
  request.prefill = {8, 1000};  // the second does not fit
  request.decode = {2};
  request.depths = {0};
  // Reading is free, so that the least is the arithmetic; and the other way round.
  request.limits = {{.threads = 1, .read_bytes = 1e30, .f32 = 1},
                    {.threads = 1, .read_bytes = 1, .f32 = 1e30}};
  request.repetitions = 1;
  for (const bool tied : {true, false}) {
    CAPTURE(tied);
    request.config.tied_head = tied;
    const std::vector<SweepTest> tests = MeasureSweep(request);
    REQUIRE(tests.size() == 4);
    CHECK(tests[0].Name() == "prefill_8");
    CHECK(tests[1].Title() == "tg2");
    // q, o: 64x64; k, v: 32x64; gate, up, down: 64x96.
    const double block = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 96, head = 256 * 64, norms = 5 * 64;
    CHECK(tests[0].least == Approx(2 * (8 * 2 * block + head)));
    CHECK(tests[1].least == Approx(2 * 2 * (2 * block + head)));
    // An embedding of its own is not read through.
    CHECK(tests[2].least == Approx(4 * (2 * block + head + norms)));
    CHECK(tests[3].least == Approx(2 * 4 * (2 * block + head + norms)));
  }
  request.prefill = request.decode = {1000};
  CHECK_THROWS_AS(SweepCapacity(request), Error);
  CHECK(LinearShapes(request.config).size() == 5);  // q and o of one shape
}

TEST_CASE("bench measures every test that fits and stores it, and comparisons know the noise") {
  const Program program;
  const Outcome outcome =
      program.Run({"bench", "--model", "./model", "--method", "fp32,int4:group=32", "-p", "8,16", "-n", "2",
                   "-d", "0,32", "-t", "1,2", "-r", "2", "--noise-floor", "--json", "--db", "results.db"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  const Json tables = ParseJson(outcome.output, "bench");
  REQUIRE(tables.size() == 2);
  REQUIRE(tables[0]["rows"].size() == 2);
  for (const Json& row : tables[0]["rows"]) {
    CHECK(row["read"]["value"].get<double>() > 0.1);
    CHECK(row["fp32"]["value"].get<double>() > 0.1);
  }
  REQUIRE(tables[1]["rows"].size() == 2 * 2 * 2 * 3);  // methods, depths, threads; pp8 pp16 tg2
  std::set<std::string> tests;
  for (const Json& row : tables[1]["rows"]) {
    tests.insert(row["test"].get<std::string>());
    const double rate = row["rate"]["value"].get<double>();
    CHECK(rate >= row["slowest"]["value"].get<double>());
    CHECK(rate <= row["fastest"]["value"].get<double>());
    CHECK(row["slowest"]["value"].get<double>() > 0);
  }
  CHECK(tests == std::set<std::string>{"pp8", "pp16", "tg2", "pp8 @ d32", "pp16 @ d32", "tg2 @ d32"});

  const Store store = program.Database();
  const std::string machine = HashOf(ThisMachine().facts);
  CHECK(store.Measurements("limit", machine).size() >= 2 * 3);
  const std::vector<MeasurementRow> sweep = store.Measurements("sweep", machine);
  REQUIRE(sweep.size() == 24);
  CHECK(sweep[0].detail["samples"].size() == 2);
  CHECK(sweep[0].unit == "tokens/s");
  const std::vector<MeasurementRow> noise = store.Measurements("noise", machine);
  REQUIRE(noise.size() == 24);
  CHECK(noise[5].settings == sweep[5].settings);
  // What a later comparison of timings has to exceed.
  double largest = 0;
  for (const MeasurementRow& row : noise) {
    if (row.name == "decode_2") largest = std::max(largest, std::max(row.value, 1 / row.value) - 1);
  }
  CHECK(largest > 0);
  CHECK(StoredNoise(store, machine, "decode_64") == Approx(largest));
  CHECK(StoredNoise(store, machine, "load_seconds") == 0);
  CHECK(StoredNoise(store, "another machine", "decode_64") == 0);
  const double share = tables[1]["rows"][5]["again"]["value"];
  CHECK(share == Approx(noise[5].value - 1));
}

TEST_CASE("bench writes SQL that SQLite takes, and CSV") {
  const Program program;
  const std::vector<std::string> arguments = {"bench", "--model", "./model", "--method", "bf16",
                                              "-p",    "0",       "-n",      "2",        "-t",
                                              "1",     "-r",      "1",       "--db",     "r.db"};
  const auto run = [&](const std::string& format) {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--format", format});
    const Outcome outcome = program.Run(all);
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    return outcome.output;
  };
  SQLite::Database database(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec(run("sql"));
  CHECK(database.execAndGet("SELECT typeof(rate) || ' ' || test FROM bench_sweep").getString() == "real tg2");
  CHECK(database.execAndGet("SELECT count(*) FROM bench_machine WHERE read > 0").getInt() == 1);
  CHECK_THAT(run("csv"), Contains("method,test,threads,rate") && Contains("bf16,tg2,1,"));
}

TEST_CASE("bench says what it cannot measure") {
  const Program program;
  for (const auto& [arguments, about] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"-p", "8,x"}, "-p"},
           {{"-t", "0,1"}, "-t"},
           {{"-r", "0"}, "--repetitions"},
           {{"--format", "xml"}, "sql"},
           {{"-p", "100000", "-n", "0"}, "context"},
           {{"-d", "-1"}, "-d"},
           {{"-p", "0", "-n", "0", "--noise-floor"}, "there are none"},
           {{"--method", "rotate+int8"}, "checkpoint"},
           {{"--method", "int99"}, "int99"}}) {
    std::vector<std::string> all = {"bench", "--model", "./model", "--db", "r.db"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Outcome outcome = program.Run(all);
    CAPTURE(about, outcome.errors);
    CHECK(outcome.exit_code == 2);
    CHECK_THAT(outcome.errors, Contains(about));
  }
}

}  // namespace
}  // namespace tnb
