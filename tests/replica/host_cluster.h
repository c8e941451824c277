// Three nodes in a world without sockets, threads and real time, for the tests of the Host.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "tests/replica/world.h"

namespace raftkv::replica {

class Cluster : public testing::Test {
 protected:
  explicit Cluster(HostOptions options = {}) : world(11, std::move(options)) {}

  void SetUp() override {
    world.bootstrap("n1");
    world.join("n2");
    world.join("n3");
  }
  std::string follower() {
    const std::string leader = world.elect();
    for (const auto& [name, node] : world.nodes()) {
      if (name != leader && node->up()) return name;
    }
    ADD_FAILURE() << "no follower";
    return "";
  }
  std::string other_follower() {
    const std::string leader = world.elect();
    for (auto it = world.nodes().rbegin(); it != world.nodes().rend(); ++it) {
      if (it->first != leader && it->second->up()) return it->first;
    }
    return "";
  }
  std::optional<std::string> value_of(const Reply& reply) {
    const auto* result = std::get_if<ReadResult>(&reply.answer);
    EXPECT_NE(result, nullptr) << (failure_of(reply) ? failure_of(reply)->detail : "not a read");
    if (result == nullptr || !result->value) return std::nullopt;
    return result->value->bytes;
  }
  void expect_failure(const Reply& reply, Problem problem, Effect effect) {
    const Failed* failed = failure_of(reply);
    ASSERT_NE(failed, nullptr);
    EXPECT_EQ(failed->problem, problem) << failed->detail;
    EXPECT_EQ(failed->effect, effect) << failed->detail;
    EXPECT_NE(failed->detail, "");
  }

  World world;
};

class ForwardingCluster : public Cluster {
 protected:
  ForwardingCluster() : Cluster(forwarding()) {}
  static HostOptions forwarding() {
    HostOptions options;
    options.forward = true;
    return options;
  }
};

}  // namespace raftkv::replica
