#include "src/replica/reads.h"

#include <algorithm>
#include <utility>

namespace raftkv::replica {

void Reads::allow(Handle handle, std::string key) {
  allowed_.push_back({handle, std::move(key)});
}

void Reads::grant(Handle handle, std::string key, Index read_index, Index applied) {
  if (granted_.empty() && read_index <= applied) {
    allow(handle, std::move(key));
    return;
  }
  // A read that waits longer than it must is still right; one that overtakes another would need a
  // search.
  if (!granted_.empty()) read_index = std::max(read_index, granted_.back().read_index);
  granted_.push_back({handle, std::move(key), read_index});
}

void Reads::applied(Index index) {
  for (; !granted_.empty() && granted_.front().read_index <= index; granted_.pop_front()) {
    allow(granted_.front().handle, std::move(granted_.front().key));
  }
}

void Reads::start() {
  for (; !allowed_.empty(); allowed_.pop_front()) {
    Allowed& read = allowed_.front();
    if (auto value = store_.get_at_once(read.key)) {
      fetched_.push_back({read.handle, std::move(read.key), std::move(*value)});
    } else {
      cold_.push_back(std::move(read));
    }
  }
  if (busy_ || cold_.empty()) return;
  busy_ = true;
  for (; !cold_.empty() && batch_.size() < batch_max_; cold_.pop_front()) {
    batch_.push_back({cold_.front().handle, std::move(cold_.front().key), {}});
  }
  worker_.run(
      [this]() -> Status {
        for (Item& item : batch_) item.value = store_.get(item.key);
        return {};
      },
      [this](const Status&) {
        on_done_(batch_);
        batch_.clear();
        busy_ = false;
      });
}

}  // namespace raftkv::replica
