// lincheck: is this history linearizable? docs/linearizability.md
#include <malloc.h>

#include "linearizability/cli/options.h"
#include "linearizability/cli/run.h"

int main(int count, char** arguments) {
  using namespace raftkv::linearizability;
  ::mallopt(M_MMAP_THRESHOLD,
            1 << 20);  // large tables go back to the system at once: --memory counts them
  const CommandLine line = parse_command_line(count, arguments);
  if (line.exit) return *line.exit;
  return line.verify ? run_verify(line.verify_command) : run_check(line.check_command);
}
