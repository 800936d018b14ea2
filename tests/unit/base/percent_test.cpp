#include "penstock/base/percent.hpp"

#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(Percent, EscapesAreDecodedAndWhatIsNoneStays) {
  struct Row {
    const char* text;
    const char* decoded;
  };
  for (const Row& row :
       {Row{"", ""}, Row{"llama%2F3", "llama/3"}, Row{"%", "%"}, Row{"%4", "%4"}, Row{"%4g", "%4g"}, Row{"%%41", "%A"},
        Row{"a%zzb%41", "a%zzbA"}, Row{"%e2%98%ba", "\u263a"}, Row{"% 41", "% 41"}}) {
    EXPECT_EQ(DecodePercent(row.text), row.decoded) << row.text;
  }
}

}  // namespace
}  // namespace penstock
