// A start that cannot work is refused with an exit code and one sentence that says why and what to
// do.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "src/base/bytes.h"
#include "src/base/checksum.h"
#include "tests/process/fixture.h"

namespace raftkv::process {
namespace {

using ::testing::HasSubstr;

class Start : public ProcessTest {
 protected:
  [[nodiscard]] std::string path(const std::string& name) const { return dir_.path() + "/" + name; }

  [[nodiscard]] Finished init(const std::string& data, const std::string& id = "node01") {
    return run({raftkv_program(), "init", "--data", data, "--id", id, "--http", http_.text(),
                "--raft", raft_.text()});
  }
  [[nodiscard]] Finished serve(const std::string& data, std::vector<std::string> further = {}) {
    std::vector<std::string> command = {raftkv_program(), "serve",      "--data", data,
                                        "--http",         http_.text(), "--raft", raft_.text()};
    command.insert(command.end(), further.begin(), further.end());
    return run(command, kPatience);
  }

  const Address http_ = unused_address();
  const Address raft_ = unused_address();
  const TempDir dir_;
};

// The files of the promise that are there.
std::vector<std::string> slots(const std::string& data) {
  std::vector<std::string> files;
  for (const char* name : {"/promise.0", "/promise.1"}) {
    if (std::filesystem::exists(data + name)) files.push_back(data + name);
  }
  EXPECT_FALSE(files.empty());
  return files;
}

// Ended by itself, with one line for a person.
void expect_refused(const Finished& start, const std::string& word) {
  EXPECT_NE(start.exit_code, 0) << start.output;
  EXPECT_LT(start.exit_code, 128) << start.output;
  EXPECT_EQ(std::ranges::count(start.output, '\n'), 1) << start.output;
  EXPECT_THAT(start.output, HasSubstr(word));
}

TEST_F(Start, IsRefusedOnADirectoryInUse) {
  cluster(1);
  const Node& node = cluster()[0];
  expect_refused(serve(node.data()), node.data());
}

TEST_F(Start, IsRefusedWhereNothingCanBeWritten) {
  const std::string file = path("file");
  std::ofstream(file) << "not a directory";
  for (const std::string& data : {file, file + "/below", std::string("/proc/raftkv")}) {
    expect_refused(init(data), data);
    expect_refused(serve(data, {"--id", "node02", "--join", unused_address().text()}), data);
  }
}

TEST_F(Start, IsRefusedOnAnEmptyDirectoryWithoutJoin) {
  expect_refused(serve(path("empty")), "--join");
}

TEST_F(Start, IsRefusedOnAnUnfinishedDirectory) {
  const std::string data = path("data");
  ASSERT_EQ(init(data).exit_code, 0);
  for (const std::string& slot : slots(data)) std::filesystem::remove(slot);
  expect_refused(serve(data), data);
  EXPECT_EQ(init(data).exit_code, 0);  // it was never finished: made anew
}

TEST_F(Start, IsRefusedWhenTheDatabasesOfAPromiseAreGone) {
  const std::string data = path("data");
  ASSERT_EQ(init(data).exit_code, 0);
  std::filesystem::remove_all(data + "/log");
  expect_refused(serve(data), data);
}

TEST_F(Start, IsRefusedWhenBothSlotsOfThePromiseAreBad) {
  const std::string data = path("data");
  ASSERT_EQ(init(data).exit_code, 0);
  for (const std::string& slot : slots(data)) {
    const auto size = std::filesystem::file_size(slot);
    std::ofstream(slot, std::ios::trunc) << std::string(size, 'x');
  }
  expect_refused(serve(data), data);
}

TEST_F(Start, IsRefusedOnADirectoryOfANewerVersion) {
  const std::string data = path("data");
  ASSERT_EQ(init(data).exit_code, 0);
  for (const std::string& slot : slots(data)) {
    // The layout is src/storage/promise_file.h's: a checksum of all behind it, and the version
    // at 12.
    std::string bytes = read_file(slot);
    ASSERT_GT(bytes.size(), 12U);
    ++bytes[12];
    put_u64(bytes.data(), checksum64(std::string_view(bytes).substr(8)));
    std::ofstream(slot, std::ios::trunc | std::ios::binary) << bytes;
  }
  const Finished start = serve(data);
  expect_refused(start, data);
  EXPECT_THAT(start.output, HasSubstr("newer version"));
}

TEST_F(Start, OfASecondClusterInADirectoryIsRefused) {
  const std::string data = path("data");
  ASSERT_EQ(init(data).exit_code, 0);
  expect_refused(init(data), data);
}

TEST_F(Start, IsRefusedOnAnAddressThatIsTaken) {
  const std::string data = path("data");
  ASSERT_EQ(init(data).exit_code, 0);
  for (const Address& address : {http_, raft_}) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<std::uint16_t>(address.port));
    ::inet_pton(AF_INET, address.host.c_str(), &at.sin_addr);
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0);
    ASSERT_EQ(::listen(listener, 1), 0);
    expect_refused(serve(data), address.text());
    ::close(listener);
  }
}

TEST_F(Start, IsRefusedWithAnAddressThatCannotBe) {
  const std::string data = path("data");
  ASSERT_EQ(init(data).exit_code, 0);
  for (const std::string bad :
       {"no-such-host.invalid:8091", "127.0.0.1:99999", "127.0.0.1", "192.0.2.1:8091"}) {
    expect_refused(
        run({raftkv_program(), "serve", "--data", data, "--http", bad, "--raft", raft_.text()},
            kPatience),
        bad);
  }
}

TEST_F(Start, IsRefusedWithContradictoryFlags) {
  const std::string data = path("data");
  EXPECT_EQ(serve(data, {"--join", unused_address().text()}).exit_code, 2);  // who am I?
  EXPECT_EQ(serve(data, {"--on-follower", "guess"}).exit_code, 2);
  EXPECT_EQ(serve(data, {"--no-such-flag"}).exit_code, 2);
  ASSERT_EQ(init(data).exit_code, 0);
  expect_refused(serve(data, {"--id", "node07"}), "node07");
  expect_refused(run({raftkv_program(), "serve", "--data", data, "--http", http_.text(), "--raft",
                      http_.text()}),
                 http_.text());
}

TEST_F(Start, IsRefusedWhenNobodyIsThereToJoin) {
  const Address nobody = unused_address();
  expect_refused(
      serve(path("data"), {"--id", "node02", "--join", nobody.text(), "--join-timeout", "2s"}),
      nobody.text());
}

}  // namespace
}  // namespace raftkv::process
