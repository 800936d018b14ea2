#include "policy/http_date.hpp"

#include <array>
#include <chrono>
#include <cstdint>

namespace penstock::policy {

namespace {

constexpr std::array<std::string_view, 7> kDays = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
constexpr std::array<std::string_view, 7> kLongDays = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                       "Friday", "Saturday", "Sunday"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/// Owned by one Worker. Eats a text from the left; after the first mismatch everything fails.
class Cursor {
 public:
  explicit Cursor(std::string_view text) noexcept : rest_(text) {}

  bool Literal(std::string_view expected) noexcept {
    if (!rest_.starts_with(expected)) return ok_ = false;
    rest_.remove_prefix(expected.size());
    return ok_;
  }
  /// Exactly `digits` digits; with `padded`, a leading space stands for 0.
  int Number(std::size_t digits, bool padded = false) noexcept {
    if (rest_.size() < digits) return Fail();
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char c = rest_[i];
      if (padded && i == 0 && c == ' ') continue;
      if (c < '0' || c > '9') return Fail();
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }
  template <std::size_t N>
  int OneOf(const std::array<std::string_view, N>& names) noexcept {
    for (std::size_t i = 0; i < N; ++i) {
      if (rest_.starts_with(names[i])) {
        rest_.remove_prefix(names[i].size());
        return static_cast<int>(i);
      }
    }
    return Fail();
  }
  bool Finished() const noexcept { return ok_ && rest_.empty(); }

 private:
  int Fail() noexcept {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

struct Parts {
  int year = 0, month = 0 /* from 0 */, day = 0, hour = 0, minute = 0, second = 0;
};

void TimeOfDay(Cursor& at, Parts& parts) noexcept {
  parts.hour = at.Number(2);
  at.Literal(":");
  parts.minute = at.Number(2);
  at.Literal(":");
  parts.second = at.Number(2);
}

bool ImfFixdate(std::string_view text, Parts& parts) noexcept {  // Sun, 06 Nov 1994 08:49:37 GMT
  Cursor at(text);
  at.OneOf(kDays);
  at.Literal(", ");
  parts.day = at.Number(2);
  at.Literal(" ");
  parts.month = at.OneOf(kMonths);
  at.Literal(" ");
  parts.year = at.Number(4);
  at.Literal(" ");
  TimeOfDay(at, parts);
  at.Literal(" GMT");
  return at.Finished();
}

bool Rfc850(std::string_view text, Parts& parts) noexcept {  // Sunday, 06-Nov-94 08:49:37 GMT
  Cursor at(text);
  at.OneOf(kLongDays);
  at.Literal(", ");
  parts.day = at.Number(2);
  at.Literal("-");
  parts.month = at.OneOf(kMonths);
  at.Literal("-");
  parts.year = at.Number(2);
  at.Literal(" ");
  TimeOfDay(at, parts);
  at.Literal(" GMT");
  return at.Finished();
}

bool Asctime(std::string_view text, Parts& parts) noexcept {  // Sun Nov  6 08:49:37 1994
  Cursor at(text);
  at.OneOf(kDays);
  at.Literal(" ");
  parts.month = at.OneOf(kMonths);
  at.Literal(" ");
  parts.day = at.Number(2, true);
  at.Literal(" ");
  TimeOfDay(at, parts);
  at.Literal(" ");
  parts.year = at.Number(4);
  return at.Finished();
}

int YearOf(WallTime now) noexcept {
  using namespace std::chrono;
  const sys_days today = floor<days>(sys_time<microseconds>(microseconds(now.us)));
  return static_cast<int>(year_month_day(today).year());
}

}  // namespace

std::optional<WallTime> ParseHttpDate(std::string_view text, WallTime now) noexcept {
  using namespace std::chrono;
  Parts parts;
  if (!ImfFixdate(text, parts)) {
    if (Rfc850(text, parts)) {
      const int this_year = YearOf(now);
      parts.year += this_year - this_year % 100;
      if (parts.year > this_year + 50) parts.year -= 100;
    } else if (!Asctime(text, parts)) {
      return std::nullopt;
    }
  }
  const year_month_day date =
      year(parts.year) / month(static_cast<unsigned>(parts.month + 1)) / day(static_cast<unsigned>(parts.day));
  // 60 is a leap second.
  if (!date.ok() || parts.hour > 23 || parts.minute > 59 || parts.second > 60) return std::nullopt;
  const std::int64_t seconds_of_day = parts.hour * 3600 + parts.minute * 60 + parts.second;
  const std::int64_t seconds = sys_days(date).time_since_epoch().count() * std::int64_t{86400} + seconds_of_day;
  return WallTime{seconds * 1'000'000};
}

}  // namespace penstock::policy
