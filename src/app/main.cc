// raftkv: init, serve, inspect, check, restore, recover, and the client commands.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <variant>
#include <vector>

#include "src/app/backup.h"
#include "src/app/client.h"
#include "src/app/inspect.h"
#include "src/app/options.h"
#include "src/app/restore.h"
#include "src/app/serve.h"

namespace raftkv::app {
namespace {

void read_value(ClientCommand& command) {
  if (auto* set = std::get_if<Set>(&command.verb); set != nullptr && set->value == "-") {
    set->value.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
}

struct Run {
  Said operator()(InitOptions& options) const { return run_init(options); }
  Said operator()(ServeOptions& options) const { return run_serve(std::move(options)); }
  Said operator()(InspectOptions& options) const {
    return run_inspect(options, storage::posix_disk());
  }
  Said operator()(CheckOptions& options) const { return run_check(options, storage::posix_disk()); }
  Said operator()(ClientCommand& command) const {
    read_value(command);
    return run_client(command, real_client_world());
  }
  Said operator()(BackupOptions& options) const {
    return run_backup(options, real_client_world(), storage::posix_disk());
  }
  Said operator()(RestoreOptions& options) const {
    return run_restore(options, storage::posix_disk());
  }
  Said operator()(RecoverOptions& options) const {
    return run_recover(options, storage::posix_disk(), ask_terminal);
  }
  Said operator()(Said& said) const { return std::move(said); }
};

}  // namespace
}  // namespace raftkv::app

int main(int argc, char** argv) {
  using namespace raftkv::app;
  Command command = parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
  const Said said = std::visit(Run{}, command);
  std::fwrite(said.out.data(), 1, said.out.size(), stdout);
  std::fwrite(said.err.data(), 1, said.err.size(), stderr);
  return std::fflush(stdout) == 0 ? said.exit_code : kNotFound;
}
