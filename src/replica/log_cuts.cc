#include "src/replica/log_cuts.h"

#include <utility>

namespace raftkv::replica {

void LogCuts::run(Status (LogStore::*work)(), std::move_only_function<void()> then) {
  busy_ = true;
  worker_.run([this, work] { return (store_.*work)(); },
              [this, then = std::move(then)](const Status& status) mutable {
                busy_ = false;
                if (!status) return on_error_(status.error());
                then();
              });
}

void LogCuts::start() {
  if (busy_ || log_.cutting()) return;
  if (wanted_) {
    run(&LogStore::prepare_cut, [this, cut = *wanted_] {
      log_.cut(cut);
      free_wanted_ = true;
    });
    wanted_.reset();
  } else if (std::exchange(free_wanted_, false)) {
    run(&LogStore::free_cut, [] {});
  }
}

}  // namespace raftkv::replica
