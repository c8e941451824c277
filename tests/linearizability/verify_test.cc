// The witness verifier refuses every kind of wrong order.
#include "linearizability/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace raftkv::linearizability {
namespace {

using testing::HasSubstr;

class Verify : public testing::Test {
 protected:
  Value v(std::int64_t number) { return builder_.values().integer(number); }
  OperationId invoke(std::uint32_t process, const Call& call) {
    return *builder_.invoke(process, call);
  }
  void end(OperationId id, End how, Value result = kUnsaid) {
    ASSERT_TRUE(builder_.complete(id, how, {result, 0, {}}).has_value());
  }
  std::string refusal(std::vector<OperationId> order, std::string_view model = "cas-register") {
    const Status status = verify_witness(history_, model, kUnsaid, order);
    return status ? "" : status.error().message;
  }

  HistoryBuilder builder_;
  History history_;
};

// 0  |--write 1--|         |--read 1--|
// 1        |--write 2 (unknown)
// 2  |--write 3 (failed)--|
class VerifyOneWrite : public Verify {
 protected:
  void SetUp() override {
    write_ = invoke(0, write(kUnsaid, v(1)));
    failed_ = invoke(2, write(kUnsaid, v(3)));
    unknown_ = invoke(1, write(kUnsaid, v(2)));
    end(write_, End::ok);
    end(failed_, End::fail);
    read_ = invoke(0, read(kUnsaid));
    end(read_, End::ok, v(1));
    history_ = builder_.finish();
  }
  OperationId write_ = 0, failed_ = 0, unknown_ = 0, read_ = 0;
};

TEST_F(VerifyOneWrite, TakesOrdersThatFit) {
  EXPECT_EQ(refusal({write_, read_}), "");
  EXPECT_EQ(refusal({unknown_, write_, read_}), "");
  EXPECT_EQ(refusal({write_, read_, unknown_}), "");
}
TEST_F(VerifyOneWrite, RefusesAnAnswerThatTheStateContradicts) {
  EXPECT_THAT(refusal({write_, unknown_, read_}), HasSubstr("cannot have answered"));
}
TEST_F(VerifyOneWrite, RefusesToGoBackInTime) {
  EXPECT_THAT(refusal({read_, write_}), HasSubstr("cannot have answered"));
  EXPECT_THAT(refusal({write_, read_, write_}), HasSubstr("twice"));
}
TEST_F(VerifyOneWrite, RefusesToLeaveOutWhatHappened) {
  EXPECT_THAT(refusal({write_}), HasSubstr("is missing"));
}
TEST_F(VerifyOneWrite, RefusesWhatDidNotHappen) {
  EXPECT_THAT(refusal({failed_, write_, read_}), HasSubstr("did not happen"));
}
TEST_F(VerifyOneWrite, RefusesWhatDoesNotExist) {
  EXPECT_THAT(refusal({write_, read_, 99}), HasSubstr("does not exist"));
}

TEST_F(Verify, RefusesOneThatReturnedBeforeAnEarlierOneWasInvoked) {
  const OperationId first = invoke(0, write(kUnsaid, v(1)));
  end(first, End::ok);
  const OperationId second = invoke(0, write(kUnsaid, v(2)));
  end(second, End::ok);
  history_ = builder_.finish();
  EXPECT_EQ(refusal({first, second}), "");
  EXPECT_THAT(refusal({second, first}), HasSubstr("had returned before"));
}

TEST_F(Verify, KnowsThatAFailedComparisonIsAnAnswer) {
  const OperationId failed = invoke(0, cas(kUnsaid, v(1), v(2)));
  end(failed, End::ok, Value::boolean(false));
  const OperationId set = invoke(1, write(kUnsaid, v(1)));
  end(set, End::ok);
  history_ = builder_.finish();
  EXPECT_EQ(refusal({failed, set}), "");
}

TEST_F(Verify, KnowsThatALogIndexNeverFalls) {
  const OperationId first = invoke(0, write(v(7), v(1)));
  const OperationId second = invoke(1, write(v(8), v(2)));
  ASSERT_TRUE(builder_.complete(first, End::ok, {kUnsaid, 5, {}}).has_value());
  ASSERT_TRUE(builder_.complete(second, End::ok, {kUnsaid, 4, {}}).has_value());
  history_ = builder_.finish();
  EXPECT_EQ(refusal({second, first}, "kv"), "");
  EXPECT_THAT(refusal({first, second}, "kv"), HasSubstr("cannot have answered"));
}

}  // namespace
}  // namespace raftkv::linearizability
