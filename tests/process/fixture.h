// The fixture of the process tests: makes the cluster and, when a test has failed, shows the nodes'
// logs.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/process/cluster.h"

namespace raftkv::process {

class ProcessTest : public testing::Test {
 protected:
  // The cluster of this test; made at the first call.
  Cluster& cluster(int nodes = 3, std::vector<std::string> arguments = {}) {
    if (!cluster_) cluster_ = std::make_unique<Cluster>(nodes, std::move(arguments));
    return *cluster_;
  }

  void TearDown() override {
    if (HasFailure() && cluster_) cluster_->print_logs();
  }

  // Writes keys PREFIX0 … PREFIXn-1 and expects each to be acknowledged.
  void write_keys(const std::string& prefix, int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(cluster().put(prefix + std::to_string(i), "value " + std::to_string(i)));
    }
  }
  void expect_keys(const std::string& prefix, int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(cluster().read(prefix + std::to_string(i)), "value " + std::to_string(i));
    }
  }

 private:
  std::unique_ptr<Cluster> cluster_;
};

}  // namespace raftkv::process
