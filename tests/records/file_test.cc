// The file itself: what happens when it is not what it should be, and when the system refuses.
#include <SQLiteCpp/SQLiteCpp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "base/files.h"
#include "records/schema.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::BeginSampleRun;

std::vector<ItemRow> ManyItems(int64_t phase, int64_t count) {
  std::vector<ItemRow> items;
  for (int64_t i = 0; i < count; ++i) {
    items.push_back({.phase_id = phase,
                     .task = "t",
                     .doc_index = i,
                     .prompt = std::string(500, 'p'),
                     .loglikelihoods = {-1.5, -2.5, -3.5, -4.5},
                     .scores = {{"acc", 1}}});
  }
  return items;
}

TEST_CASE("other files are refused in one line") {
  const testing::TemporaryFolder folder;
  CHECK_THROWS_WITH(Store::OpenReadOnly(folder / "absent.db"),
                    Contains("no results database") && Contains("hint"));
  CHECK_THROWS_WITH(Store::Open(folder / "no/such/folder.db"), Contains("cannot be opened"));
  CHECK_THROWS_WITH(Store::Open(folder.path()), Contains("must be a file"));

  const std::string text = "method,acc\nint8,0.5\n" + std::string(2000, 'x');
  WriteFileAtomically(folder / "table.csv", text);
  CHECK_THROWS_WITH(Store::Open(folder / "table.csv"), Contains("not a database") && Contains("hint"));
  CHECK_THROWS_WITH(Store::OpenReadOnly(folder / "table.csv"), Contains("not a database"));
  CHECK(ReadFile(folder / "table.csv") == text);

  SQLite::Database((folder / "other.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec("CREATE TABLE song (id INTEGER)");
  CHECK_THROWS_WITH(Store::Open(folder / "other.db"), Contains("not written by tnbench"));
}

TEST_CASE("a newer schema is refused, also read-only") {
  const testing::TemporaryFolder folder;
  Store::Open(folder / "r.db");
  SQLite::Database((folder / "r.db").string(), SQLite::OPEN_READWRITE)
      .exec("PRAGMA user_version = " + std::to_string(SchemaVersion() + 1));
  CHECK_THROWS_WITH(Store::Open(folder / "r.db"), Contains("newer tnbench"));
  CHECK_THROWS_WITH(Store::OpenReadOnly(folder / "r.db"), Contains("newer tnbench"));
}

TEST_CASE("a read-only store sees what is written meanwhile and cannot write") {
  const testing::TemporaryFolder folder;
  Store writer = Store::Open(folder / "r.db");
  Store reader = Store::OpenReadOnly(folder / "r.db");
  BeginSampleRun(writer, "int8");
  CHECK(reader.Runs().size() == 1);
  CHECK_THROWS_WITH(reader.PutMethod("int8"), Contains("read-only"));
}

TEST_CASE("a second opening keeps the rows; an empty file becomes a database") {
  const testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "r.db", "");
  {
    Store store = Store::Open(folder / "r.db");
    BeginSampleRun(store, "int8");
  }
  CHECK(Store::Open(folder / "r.db").Runs().size() == 1);
  CHECK_FALSE(std::filesystem::exists(folder / "r.db-wal"));  // one file when nobody has it open
}

TEST_CASE("a truncated database is an error, not a crash") {
  const testing::TemporaryFolder folder;
  {
    Store store = Store::Open(folder / "r.db");
    const int64_t phase = store.BeginPhase({.run_id = BeginSampleRun(store, "int8"), .name = "quality"});
    store.AddItems(ManyItems(phase, 500));
  }
  const auto size = std::filesystem::file_size(folder / "r.db");
  for (const auto kept : {size - 4096, size / 2, uintmax_t{4096}, uintmax_t{1000}, uintmax_t{50}}) {
    std::filesystem::copy_file(folder / "r.db", folder / "cut.db",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(folder / "cut.db", kept);
    INFO("kept " << kept << " of " << size);
    CHECK_THROWS_AS(Store::OpenReadOnly(folder / "cut.db").Items(1), Error);
  }
}

TEST_CASE("JSON and statuses that another program damaged are errors") {
  const testing::TemporaryFolder folder;
  {
    Store store = Store::Open(folder / "r.db");
    BeginSampleRun(store, "int8");
  }
  const auto change = [&](const std::string& sql) {
    SQLite::Database((folder / "r.db").string(), SQLite::OPEN_READWRITE)
        .exec("PRAGMA ignore_check_constraints = ON; " + sql);
  };
  change("UPDATE cell SET settings = '{'");
  CHECK_THROWS_AS(Store::OpenReadOnly(folder / "r.db").Runs(), Error);
  change("UPDATE cell SET settings = '{}'; UPDATE run SET status = 'fine'");
  CHECK_THROWS_WITH(Store::OpenReadOnly(folder / "r.db").Runs(), Contains("unknown status 'fine'"));
}

TEST_CASE("a file that cannot grow leaves the database readable") {
  const testing::TemporaryFolder folder;
  {
    Store store = Store::Open(folder / "r.db");
    const int64_t phase = store.BeginPhase({.run_id = BeginSampleRun(store, "int8"), .name = "quality"});
    store.AddItems(ManyItems(phase, 10));
    // A limit on the size of files stands in for a full disk.
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto handler = signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {1 << 20, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    std::string message;
    try {
      std::vector<ItemRow> items = ManyItems(phase, 20000);
      items.erase(items.begin(), items.begin() + 10);
      store.AddItems(items);
    } catch (const Error& error) {
      message = error.what();
    }
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    CHECK_THAT(message, Contains("still there"));
    CHECK(store.Items(phase).size() == 10);
  }
  Store store = Store::Open(folder / "r.db");
  CHECK(store.Items(1).size() == 10);
  store.AddItems({{.phase_id = 1, .task = "u"}});
  CHECK(store.Items(1).size() == 11);
}

TEST_CASE("a writer killed in the middle loses no finished call") {
  const testing::TemporaryFolder folder;
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    Store store = Store::Open(folder / "r.db");
    const int64_t phase = store.BeginPhase({.run_id = BeginSampleRun(store, "int8"), .name = "quality"});
    store.AddItems(ManyItems(phase, 100));
    store.FinishPhase(phase, {});
    store.Transaction([&] {
      store.AddItems({{.phase_id = phase, .task = "unfinished"}});
      kill(getpid(), SIGKILL);
    });
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  Store store = Store::Open(folder / "r.db");
  CHECK(store.Items(1).size() == 100);
  CHECK(store.Phases(1).at(0).status == PhaseStatus::kOk);
}

TEST_CASE("a batch of items is written in one go") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t phase = store.BeginPhase({.run_id = BeginSampleRun(store, "int8"), .name = "quality"});
  const std::vector<ItemRow> items = ManyItems(phase, 20000);
  const auto start = std::chrono::steady_clock::now();
  store.AddItems(items);
  // A transaction a row would take minutes on a disk; the bound leaves room for slow machines and sanitizers.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  CHECK(store.Items(phase).size() == 20000);
}

}  // namespace
}  // namespace tnb
