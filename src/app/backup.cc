#include "src/app/backup.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "src/app/leader_call.h"
#include "src/base/bytes.h"
#include "src/storage/backup_file.h"

namespace raftkv::app {
namespace {

constexpr Duration kProgressInterval = 5s;
// An answer after which nobody is asked again: the file, and not the node, is in the way.
constexpr int kNothingHelps = 599;

Said failed(int exit_code, std::string_view sentence) {
  return {.exit_code = exit_code, .out = {}, .err = fmt::format("raftkv: {}\n", sentence)};
}

// One backup, perhaps over several attempts: each begins the file anew.
class Backing {
 public:
  Backing(const BackupOptions& options, const ClientWorld& world, storage::Disk& disk)
      : options_(options), world_(world), writer_(disk, options.file, options.force) {}

  Said run() {
    Said said = receive();
    if (said.exit_code != kDone) writer_.discard();
    return said;
  }

 private:
  Said receive() {
    if (const Status begun = writer_.begin(); !begun)
      return failed(kNotFound, begun.error().message);
    ClientWorld world = world_;
    world.send = [this](const std::string& address, const http::ClientRequest& request,
                        Duration timeout) { return attempt(address, request, timeout); };
    const http::ClientRequest request = {
        .method = "GET", .target = "/backup?level=" + options_.level, .fields = {}, .body = {}};
    const CallResult result = call_leader(options_.client, world, request, Repeatable::yes);
    if (trouble_) return failed(kNotFound, trouble_->message);
    if (const auto* unreachable = std::get_if<Unreachable>(&result)) {
      return failed(kUnreachable, fmt::format("no backup could be had: {}", unreachable->why));
    }
    if (const auto* no_answer = std::get_if<NoAnswer>(&result)) {
      return failed(kUnreachable, fmt::format("no backup could be had: {}", no_answer->why));
    }
    const auto& response = std::get<http::ClientResponse>(result);
    if (response.status != 200) return failed(kRefused, problem_of(response).detail);
    return finish();
  }

  std::expected<http::ClientResponse, http::ClientError> attempt(const std::string& address,
                                                                 const http::ClientRequest& request,
                                                                 Duration timeout) {
    if (const Status begun = writer_.begin(); !begun) return give_up(begun.error());
    next_line_ = world_.now() + kProgressInterval;
    auto response = world_.download(address, request, timeout, [this](std::string_view bytes) {
      const Status written = writer_.append(bytes);
      if (!written) trouble_ = written.error();
      show_progress();
      return written;
    });
    if (trouble_) return give_up(*trouble_);
    return response;
  }

  http::ClientResponse give_up(const Error& error) {
    trouble_ = error;
    return {.status = kNothingHelps, .fields = {}, .body = {}};
  }

  void show_progress() {
    if (world_.now() < next_line_ || !writer_.header()) return;
    next_line_ = world_.now() + kProgressInterval;
    const replica::BackupTotals& totals = writer_.totals();
    world_.progress(fmt::format("raftkv: {} keys, {} MiB so far (index {})", totals.pairs,
                                totals.bytes >> 20, writer_.header()->applied.value));
  }

  Said finish() {
    if (const Status whole = writer_.finish(); !whole) {
      return failed(kNotFound, whole.error().message);
    }
    const replica::BackupHeader& header = *writer_.header();
    const replica::BackupTotals& totals = writer_.totals();
    return {.exit_code = kDone,
            .out = fmt::format("{}: cluster {} as of index {}, {} keys, {} bytes, digest {}\n",
                               options_.file, to_hex(header.cluster.value), header.applied.value,
                               totals.pairs - 1, totals.bytes, to_hex(totals.contents_digest)),
            .err = {}};
  }

  const BackupOptions& options_;
  const ClientWorld& world_;
  storage::BackupFileWriter writer_;
  std::optional<Error> trouble_;  // with the file, or with what came
  Time next_line_{};
};

}  // namespace

Said run_backup(const BackupOptions& options, const ClientWorld& world, storage::Disk& disk) {
  return Backing(options, world, disk).run();
}

}  // namespace raftkv::app
