// Joining a cluster, before there is a node: replica::Joining over HTTP, blocking.
#pragma once

#include "src/base/result.h"
#include "src/replica/join.h"

namespace raftkv::app {

[[nodiscard]] Result<replica::JoinDone> join_cluster(replica::JoinOptions options);

}  // namespace raftkv::app
