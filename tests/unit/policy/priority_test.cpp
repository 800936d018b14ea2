#include "penstock/policy/priority.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string_view>

namespace penstock::policy {
namespace {

TEST(Priority, Parse) {
  struct Case {
    std::string_view text;
    std::optional<Priority> expected;
  };
  for (const Case& c : {
           Case{"interactive", Priority::kInteractive},
           Case{"default", Priority::kDefault},
           Case{"batch", Priority::kBatch},
           Case{"", std::nullopt},
           Case{"Batch", std::nullopt},
           Case{"batc", std::nullopt},
           Case{"batch ", std::nullopt},
           Case{"batches", std::nullopt},
           Case{"2", std::nullopt},
       }) {
    EXPECT_EQ(ParsePriority(c.text), c.expected) << "'" << c.text << "'";
    if (c.expected.has_value()) {
      EXPECT_EQ(PriorityName(*c.expected), c.text);
    }
  }
}

TEST(Priority, ACapOnlyMakesLessUrgent) {
  EXPECT_EQ(CappedPriority(Priority::kInteractive, Priority::kBatch), Priority::kBatch);
  EXPECT_EQ(CappedPriority(Priority::kBatch, Priority::kInteractive), Priority::kBatch);
  EXPECT_EQ(CappedPriority(Priority::kDefault, Priority::kInteractive), Priority::kDefault);
}

}  // namespace
}  // namespace penstock::policy
