#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <set>
#include <thread>

#include "base/error.h"
#include "harness/bench.h"
#include "harness/bench_sweep.h"
#include "harness/command.h"
#include "harness/facts.h"
#include "methods/recipe.h"
#include "models/checkpoint.h"
#include "models/known.h"
#include "records/store.h"
#include "reports/numbers.h"
#include "reports/statistics.h"
#include "reports/table.h"

namespace tnb {
namespace {

struct BenchOptions {
  std::string model = "smollm2-135m", methods = "fp32,bf16,int8", format = "md", db = "tnbench.db";
  std::string prefill = "128,512", decode = "32", depths = "0", threads;
  int repetitions = 5;
  bool kernels = false, noise_floor = false, json = false;
};

std::vector<int64_t> Counts(const std::string& text, const std::string& option, int64_t least) {
  std::vector<int64_t> counts;
  for (const std::string& part : SplitList(text, option)) {
    int64_t count = 0;
    if (!ParseInteger(part, count) || count < least) {
      throw Error(ErrorKind::kUsage, {"not a list of counts", "128,512", "'" + text + "'", option, ""});
    }
    counts.push_back(count);
  }
  return counts;
}

// As llama-bench has it, 0 means none of these tests.
std::vector<int64_t> TestCounts(const std::string& text, const std::string& option) {
  return text == "0" ? std::vector<int64_t>() : Counts(text, option, 1);
}

ModelConfig ConfigOf(const std::string& model) {
  if (const KnownModel* known = FindKnown(model)) return known->config;
  return ResolveModel(model).config;
}

Cell Number(double value) { return {.text = FormatNumber(value), .value = value}; }
Cell Count(int64_t value) { return {.text = std::to_string(value), .value = static_cast<double>(value)}; }
Cell Share(double value) { return {.text = std::to_string(std::lround(100 * value)) + " %", .value = value}; }
Cell Words(const std::string& text) { return {.text = text}; }

// A table for people, and the same numbers for the record.
struct Part {
  std::string name;  // of the table in SQL
  Table table;
  std::vector<MeasurementRow> rows;
};

MeasurementRow RowOf(const std::string& kind, const std::string& subject, const std::string& name,
                     int threads, double value, const std::string& unit) {
  return {.kind = kind,
          .subject = subject,
          .name = name,
          .settings = {{"threads", threads}},
          .value = value,
          .unit = unit};
}

Part MachinePart(const std::vector<MachineLimits>& all) {
  Part part{"bench_machine",
            {.caption = "machine",
             .columns = {{.title = "threads", .key = "threads"},
                         {.title = "n", .key = "n"},
                         {.title = "read [GB/s]", .key = "read"},
                         {.title = "fp32 [Gflop/s]", .key = "fp32"},
                         {.title = "bf16 [Gflop/s]", .key = "bf16"},
                         {.title = "int8 [Gop/s]", .key = "int8"}}},
            {}};
  for (const MachineLimits& limits : all) {
    part.table.rows.push_back({Count(limits.threads), Count(limits.tries), Number(limits.read_bytes / 1e9),
                               Number(limits.f32 / 1e9),
                               limits.bf16 > 0 ? Number(limits.bf16 / 1e9) : Words("not available"),
                               Number(limits.int8 / 1e9)});
    part.rows.push_back(RowOf("limit", "", "read", limits.threads, limits.read_bytes, "B/s"));
    part.rows.push_back(RowOf("limit", "", "fp32", limits.threads, limits.f32, "op/s"));
    if (limits.bf16 > 0) part.rows.push_back(RowOf("limit", "", "bf16", limits.threads, limits.bf16, "op/s"));
    part.rows.push_back(RowOf("limit", "", "int8", limits.threads, limits.int8, "op/s"));
  }
  part.table.notes.push_back(
      "The fastest of n tries or more of each: reading memory, and multiplying 480 tokens with the matrices "
      "of "
      "small models by tnbench's kernels and 1024x1024 matrices by LibTorch. Limits below are the time to "
      "read "
      "the stored bytes or to compute, whichever is longer.");
  return part;
}

Part KernelPart(const BenchOptions& options, const SweepRequest& request) {
  Part part{"bench_kernels",
            {.caption = "kernels at the shapes of " + options.model,
             .columns = {{.title = "format", .alignment = Alignment::kLeft, .key = "format"},
                         {.title = "rows", .key = "rows"},
                         {.title = "columns", .key = "columns"},
                         {.title = "tokens", .key = "tokens"},
                         {.title = "threads", .key = "threads"},
                         {.title = "time [us]", .key = "time"},
                         {.title = "GB/s", .key = "read"},
                         {.title = "Gflop/s", .key = "compute"},
                         {.title = "of the limit", .key = "share"}}},
            {}};
  for (const std::string& format : KernelFormats()) {
    for (const auto& [rows, cols] : LinearShapes(request.config)) {
      for (const KernelTime& time :
           MeasureKernels(format, rows, cols, {512, 1}, request.limits, request.repetitions)) {
        const MachineLimits& limits = request.limits[time.limits];
        const double seconds = Median(time.seconds), bytes = static_cast<double>(time.bytes);
        const double operations = 2.0 * static_cast<double>(rows * cols * time.tokens);
        const double share = limits.Least(bytes, operations, format) / seconds;
        part.table.rows.push_back({Words(format), Count(rows), Count(cols), Count(time.tokens),
                                   Count(limits.threads), Number(1e6 * seconds),
                                   Number(bytes / seconds / 1e9), Number(operations / seconds / 1e9),
                                   Share(share)});
        MeasurementRow row = RowOf("kernel", format, std::to_string(rows) + "x" + std::to_string(cols),
                                   limits.threads, seconds, "s");
        row.settings["tokens"] = time.tokens;
        row.detail = {{"share_of_limit", share}, {"stored_bytes", time.bytes}, {"samples", time.seconds}};
        part.rows.push_back(std::move(row));
      }
    }
  }
  part.table.notes.push_back("Medians of " + std::to_string(request.repetitions) +
                             " interleaved repetitions. One token multiplies with weights from memory, as in "
                             "decoding.");
  return part;
}

// Also the noise: what two measurements of one thing differ by.
void AddNoise(const std::vector<SweepTest>& tests, const std::vector<MachineLimits>& limits, Part& part) {
  part.table.columns.push_back({.title = "again", .key = "again"});
  double noise = 0;
  for (size_t i = 0; i < tests.size(); ++i) {
    const double ratio = Median(tests[i].seconds) / Median(tests[i].again);
    noise = std::max(noise, std::max(ratio, 1 / ratio) - 1);
    part.table.rows[i].push_back(
        {.text = FormatFixed(100 * (ratio - 1), 1, true) + " %", .value = ratio - 1});
    MeasurementRow row = RowOf("noise", part.rows[i].subject, tests[i].Name(),
                               limits[tests[i].limits].threads, ratio, "ratio");
    row.settings = part.rows[i].settings;
    row.detail = {{"samples", tests[i].seconds}, {"again", tests[i].again}};
    part.rows.push_back(std::move(row));
  }
  part.table.notes.push_back(
      "Every test was measured twice, interleaved: the medians differ by up to " +
      FormatFixed(100 * noise, 1) +
      " %. tnbench compare takes this from the database: smaller differences of times on "
      "this machine are noise.");
}

Part SweepPart(const BenchOptions& options, const SweepRequest& request) {
  Part part{"bench_sweep",
            {.caption = options.model + ", random weights",
             .columns = {{.title = "method", .alignment = Alignment::kLeft, .key = "method"},
                         {.title = "test", .alignment = Alignment::kLeft, .key = "test"},
                         {.title = "threads", .key = "threads"},
                         {.title = "tokens/s", .key = "rate"},
                         {.title = "slowest", .key = "slowest"},
                         {.title = "fastest", .key = "fastest"},
                         {.title = "of the limit", .key = "share"}}},
            {}};
  const std::vector<SweepTest> tests = MeasureSweep(request);
  for (const SweepTest& test : tests) {
    const auto rate = [&](double seconds) { return static_cast<double>(test.tokens) / seconds; };
    const auto [fastest, slowest] = std::minmax_element(test.seconds.begin(), test.seconds.end());
    const int threads = request.limits[test.limits].threads;
    const double seconds = Median(test.seconds), share = test.least / seconds;
    part.table.rows.push_back({Words(test.method), Words(test.Title()), Count(threads), Number(rate(seconds)),
                               Number(rate(*slowest)), Number(rate(*fastest)), Share(share)});
    MeasurementRow row = RowOf("sweep", options.model + " (random weights) " + test.method, test.Name(),
                               threads, rate(seconds), "tokens/s");
    row.settings["depth"] = test.depth;
    row.detail = {{"share_of_limit", share}, {"method", test.canonical}, {"samples", test.seconds}};
    part.rows.push_back(std::move(row));
  }
  if (request.twice) AddNoise(tests, request.limits, part);
  part.table.notes.push_back("Medians of " + std::to_string(request.repetitions) +
                             " interleaved repetitions; the limit does not count attention.");
  return part;
}

SweepRequest RequestOf(const BenchOptions& options) {
  SweepRequest request;
  request.prefill = TestCounts(options.prefill, "-p");
  request.decode = TestCounts(options.decode, "-n");
  request.depths = Counts(options.depths, "-d", 0);
  const std::vector<int64_t> threads =
      options.threads.empty()
          ? std::vector<int64_t>{std::max<int64_t>(1, std::thread::hardware_concurrency())}
          : Counts(options.threads, "-t", 1);
  for (const int64_t count : threads) {
    if (count > 4096)
      throw Error(ErrorKind::kUsage, {"too many threads", "4096 at most", std::to_string(count), "-t", ""});
    request.limits.push_back({.threads = static_cast<int>(count)});
  }
  request.repetitions = options.repetitions;
  request.twice = options.noise_floor;
  request.methods = SplitMethodList(options.methods);
  for (const std::string& method : request.methods) ParseRecipe(method);
  request.config = ConfigOf(options.model);
  return request;
}

void Print(const std::vector<Part>& parts, const std::string& format) {
  if (format == "json") {
    Json json = Json::array();
    for (const Part& part : parts) json.push_back(ToJson(part.table));
    std::cout << json.dump(2) << "\n";
    return;
  }
  for (const Part& part : parts) {
    std::cout << (format == "csv"   ? RenderCsv(part.table)
                  : format == "sql" ? RenderSql(part.table, part.name)
                  : format == "md"  ? RenderMarkdown(part.table)
                                    : RenderTerminal(part.table))
              << "\n";
  }
}

int Bench(const BenchOptions& options) {
  SweepRequest request = RequestOf(options);
  const bool sweeps = !request.prefill.empty() || !request.decode.empty();
  if (sweeps) SweepCapacity(request);  // before anything takes time
  if (options.noise_floor && !sweeps) {
    throw Error(ErrorKind::kUsage, "--noise-floor measures tests twice, and there are none", "give -p or -n");
  }
  Store store = Store::Open(options.db);
  for (MachineLimits& limits : request.limits) limits = MeasureLimits(limits.threads);
  std::vector<Part> parts{MachinePart(request.limits)};
  if (options.kernels) parts.push_back(KernelPart(options, request));
  if (sweeps) parts.push_back(SweepPart(options, request));
  const int64_t machine = store.PutMachine(ThisMachine()), build = store.PutBuild(ThisBuild());
  std::vector<MeasurementRow> rows;
  for (const Part& part : parts) {
    for (MeasurementRow row : part.rows) {
      row.machine_id = machine;
      row.build_id = build;
      row.command = CommandLine();
      rows.push_back(std::move(row));
    }
  }
  store.AddMeasurements(rows);
  Print(parts, options.json ? "json" : options.format);
  return 0;
}

}  // namespace

std::function<int()> DeclareBench(OptionList& command) {
  auto options = std::make_shared<BenchOptions>();
  command.Add("--model", options->model, "whose shapes: a known name (no files needed) or a path")
      .ShowDefault();
  command.Add("--method", options->methods, "methods without calibration, comma-separated").ShowDefault();
  command.Add("-p,--prefill", options->prefill, "tokens in one piece; 0: none").ShowDefault();
  command.Add("-n,--decode", options->decode, "tokens one by one; 0: none").ShowDefault();
  command.Add("-d,--depth", options->depths, "tokens before them").ShowDefault();
  command.Add("-t,--threads", options->threads, "numbers of threads (default: one a logical core)");
  command.Add("-r,--repetitions", options->repetitions, "of each test, interleaved")
      .Between(1, 100000)
      .ShowDefault();
  command.Flag("--kernels", options->kernels, "also every kernel at the model's shapes");
  command.Flag("--noise-floor", options->noise_floor,
               "every test twice; what the two differ by is kept for comparisons on this machine");
  command.Add("--db", options->db, "results database that keeps what was measured").ShowDefault();
  command.Add("--format", options->format, "md, text, csv, json or sql")
      .OneOf({"md", "text", "csv", "json", "sql"})
      .ShowDefault();
  command.Flag("--json", options->json, "short for --format json");
  return [options] { return Bench(*options); };
}

}  // namespace tnb
