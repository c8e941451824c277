#include "src/replica/log_fetches.h"

#include <utility>

namespace raftkv::replica {

void LogFetches::start() {
  if (busy_ || queue_.empty()) return;
  busy_ = true;
  current_ = queue_.front();
  queue_.pop_front();
  worker_.run([this] { return work(); }, [this](const Status& status) { finished(status); });
}

Status LogFetches::work() {
  auto entries = store_.read(current_.from, current_.to, current_.bytes_max);
  if (!entries) return failure(entries);
  entries_ = std::move(*entries);
  return {};
}

void LogFetches::finished(const Status& status) {
  busy_ = false;
  on_done_(status, current_, std::exchange(entries_, {}));
}

}  // namespace raftkv::replica
