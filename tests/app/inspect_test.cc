#include "src/app/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "src/storage/data_directory.h"

namespace raftkv::app {
namespace {

using ::testing::HasSubstr;
namespace json = boost::json;

class InspectTest : public testing::Test {
 protected:
  InspectTest() {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
    const auto directory = storage::DataDirectory::take(disk(), path_, true);
    EXPECT_TRUE(
        (*directory)
            ->create_cluster(raft::ClusterId(0xabc), raft::InstanceId(7), {"node01", "h:1", "h:2"})
            .has_value());
  }
  ~InspectTest() override { std::filesystem::remove_all(path_); }
  static storage::Disk& disk() { return storage::posix_disk(); }

  std::string path_ = testing::TempDir() + "raftkv-inspect-XXXXXX";
};

TEST_F(InspectTest, SaysWhoANodeIsAndWhatItHas) {
  const Said text = run_inspect({.data = path_}, disk());
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("node.id                  node01\n"));
  EXPECT_THAT(text.out, HasSubstr("start.lastIndex          1\n"));
  const json::value value = json::parse(run_inspect({.data = path_, .json = true}, disk()).out);
  EXPECT_EQ(value.at("node").at("cluster").as_string(), "0000000000000abc");
  EXPECT_EQ(value.at("start").at("promiseLost").as_bool(), false);
  EXPECT_EQ(value.at("log").at("wals").as_array().size(), 1u);
}

TEST_F(InspectTest, CheckEndsWithOneWhenSomethingIsDamaged) {
  EXPECT_EQ(run_check({.data = path_}, disk()).exit_code, 0);
  std::filesystem::remove(path_ + "/log/CURRENT");
  const Said said = run_check({.data = path_}, disk());
  EXPECT_EQ(said.exit_code, 1);
  EXPECT_THAT(said.out, HasSubstr("damaged: log: CURRENT is missing\n"));
  const json::value value = json::parse(run_check({.data = path_, .json = true}, disk()).out);
  EXPECT_EQ(value.at("whole").as_bool(), false);
  EXPECT_EQ(value.at("damages").as_array().size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(path_ + "/log.damaged")) << "it only reads";
}

TEST_F(InspectTest, ADirectoryThatIsNotThereIsOneSentence) {
  for (const Said& said : {run_inspect({.data = path_ + "/none"}, disk()),
                           run_check({.data = path_ + "/none"}, disk())}) {
    EXPECT_EQ(said.exit_code, 1);
    EXPECT_THAT(said.err, HasSubstr("there is no data directory"));
    EXPECT_TRUE(said.out.empty());
  }
  EXPECT_FALSE(std::filesystem::exists(path_ + "/none"));
}

}  // namespace
}  // namespace raftkv::app
