// Section 7 of the design, as a table of raw requests and answers, without a socket.
#include "tests/http/conversation.h"

#include <gtest/gtest.h>

namespace raftkv::http {

namespace {

class Conversation : public testing::TestWithParam<Case> {};

TEST_P(Conversation, GoesAsWritten) {
  PureWorld world;
  run_case(GetParam(), world);
}

TEST_P(Conversation, GoesAsWrittenByteByByte) {
  PureWorld world(1);
  run_case(GetParam(), world);
}

INSTANTIATE_TEST_SUITE_P(Http, Conversation, testing::ValuesIn(all_cases()), case_name);

}  // namespace
}  // namespace raftkv::http
