#include "src/app/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace raftkv::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, CountAndTimeRequests) {
  Metrics metrics;
  metrics.request_done(RequestKind::write, RequestOutcome::ok, 3ms);
  metrics.request_done(RequestKind::write, RequestOutcome::ok, 30ms);
  metrics.request_done(RequestKind::read_stale, RequestOutcome::unknown, 1s);
  const std::string text = metrics.text({});
  EXPECT_THAT(text, HasSubstr("raftkv_requests_total{kind=\"write\",outcome=\"ok\"} 2"));
  EXPECT_THAT(text, HasSubstr("raftkv_requests_total{kind=\"read_stale\",outcome=\"unknown\"} 1"));
  EXPECT_THAT(text, HasSubstr("raftkv_request_seconds_bucket{kind=\"write\",le=\"0.005\"} 1"));
  EXPECT_THAT(text, HasSubstr("raftkv_request_seconds_count{kind=\"write\"} 2"));
}

TEST(Metrics, CountLogWrites) {
  Metrics metrics;
  metrics.log_written(3, 300, 1ms);
  metrics.log_written(1, 100, 1ms);
  const std::string text = metrics.text({});
  EXPECT_THAT(text, HasSubstr("raftkv_log_write_entries_sum 4"));
  EXPECT_THAT(text, HasSubstr("raftkv_log_write_seconds_count 2"));
  EXPECT_THAT(text, HasSubstr("raftkv_log_written_bytes_total 400"));
}

TEST(Metrics, ShowTheSnapshotOfTheMoment) {
  Metrics metrics;
  MetricsSnapshot now;
  now.role = "leader";
  now.term = 7;
  now.peers = {{"node02", 5}};
  now.http_requests = 10;
  std::string text = metrics.text(now);
  EXPECT_THAT(text, HasSubstr("raftkv_role{role=\"leader\"} 1"));
  EXPECT_THAT(text, HasSubstr("raftkv_term 7"));
  EXPECT_THAT(text, HasSubstr("raftkv_peer_lag_entries{peer=\"node02\"} 5"));
  EXPECT_THAT(text, HasSubstr("raftkv_http_requests_total 10"));

  now.role = "follower";
  now.peers = {};
  now.http_requests = 12;
  text = metrics.text(now);
  EXPECT_THAT(text, HasSubstr("raftkv_role{role=\"leader\"} 0"));
  EXPECT_THAT(text, Not(HasSubstr("node02")));
  EXPECT_THAT(text, HasSubstr("raftkv_http_requests_total 12"));
}

// The names of metrics in a text: what begins like one and goes on with letters.
std::set<std::string> names_behind(const std::string& text, const std::string& mark) {
  std::set<std::string> names;
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
    const std::size_t begin = at + mark.size();
    const std::string name =
        text.substr(begin, text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", begin) - begin);
    if (name.starts_with("raftkv_") || name.starts_with("process_")) names.insert(name);
  }
  return names;
}

TEST(Metrics, AreAllInTheManual) {
  std::ostringstream manual;
  manual << std::ifstream(RAFTKV_SOURCE_DIR "/docs/api.md").rdbuf();
  Metrics metrics;
  MetricsSnapshot now;
  now.peers = {{"node02", 5}};
  MarkSet marks;
  marks.set(Mark::pre_vote_lost);
  metrics.marked(marks);
  EXPECT_EQ(names_behind(manual.str(), "`"), names_behind(metrics.text(now), "# TYPE "));
}

TEST(Metrics, CountMarksByTheirNames) {
  Metrics metrics;
  EXPECT_THAT(metrics.text({}), Not(HasSubstr("raftkv_marks_total{")));
  MarkSet marks;
  marks.set(Mark::conflict_truncated_a_configuration);
  metrics.marked(marks);
  marks.set(Mark::chunk_came_early);
  metrics.marked(marks);
  const std::string text = metrics.text({});
  EXPECT_THAT(text, HasSubstr("raftkv_marks_total{mark=\"conflict truncated a configuration\"} 2"));
  EXPECT_THAT(text, HasSubstr("raftkv_marks_total{mark=\"chunk came early\"} 1"));
}

TEST(Metrics, KnowTheMemoryOfTheProcess) {
  Metrics metrics;
  EXPECT_THAT(metrics.text({}), Not(HasSubstr("process_resident_memory_bytes 0")));
}

}  // namespace
}  // namespace raftkv::app
