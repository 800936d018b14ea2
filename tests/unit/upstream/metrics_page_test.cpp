#include "upstream/metrics_page.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock::upstream {
namespace {

constexpr MetricsPage::Names kNames = {"vllm:num_requests_running", "vllm:num_requests_waiting"};

struct Row {
  const char* name;
  std::string page;
  std::optional<std::uint32_t> sum;
};

class Pages : public testing::TestWithParam<Row> {};

TEST_P(Pages, AreSummedHoweverTheyAreCut) {
  const Row& row = GetParam();
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}, row.page.size() + 1}) {
    MetricsPage page;
    page.Begin(kNames);
    for (std::size_t at = 0; at < row.page.size(); at += step) page.Feed(std::string_view(row.page).substr(at, step));
    EXPECT_EQ(page.Sum(), row.sum) << step;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Pages,
    testing::Values(
        Row{"Empty", "", std::nullopt}, Row{"NobodysPage", "<html>vllm:num_requests_running 3</html>\n", std::nullopt},
        Row{"OneSeries", "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 3\n", 3},
        Row{"BothAndOthers", "up 1\nvllm:num_requests_running 3.0\nvllm:num_requests_waiting 4.0\nvllm:x 9\n", 7},
        Row{"EveryEngine",
            "vllm:num_requests_running{engine=\"0\",model_name=\"a\"} 3.0\n"
            "vllm:num_requests_running{engine=\"1\",model_name=\"a} 8\"} 2.0 1700000000\n",
            5},
        Row{"LongerNamesAreOthers",
            "vllm:num_requests_running_total 5\nvllm:num_requests_waiting_by_reason{r=\"c\"} 6\n", std::nullopt},
        Row{"NoNumber", "vllm:num_requests_running NaN\nvllm:num_requests_waiting x\n", std::nullopt},
        Row{"Negative", "vllm:num_requests_running -4\nvllm:num_requests_waiting 1\n", 1},
        Row{"Exponent", "vllm:num_requests_running 1.2e+01\n", 12},
        Row{"BeyondAllReason", "vllm:num_requests_running +Inf\nvllm:num_requests_waiting 1e300\n", 1'000'000},
        Row{"LastLineWithoutEnd", "vllm:num_requests_running 3", std::nullopt},
        Row{"EndlessLine", std::string(10'000, 'x') + "\nvllm:num_requests_running 3\n", 3},
        Row{"EndlessLabel", "vllm:num_requests_running{m=\"" + std::string(10'000, 'x') + "\"} 3\n", std::nullopt}),
    [](const auto& row) { return row.param.name; });

TEST(MetricsPage, BeginsAnew) {
  MetricsPage page;
  page.Begin(kNames);
  page.Feed("vllm:num_requests_running 3\nvllm:num_requests_wai");
  page.Begin(kNames);
  page.Feed("ting 5\nvllm:num_requests_waiting 2\n");
  EXPECT_EQ(page.Sum(), 2u);
}

}  // namespace
}  // namespace penstock::upstream
