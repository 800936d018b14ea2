#include "penstock/redis/reply.hpp"

#include <charconv>

#include "penstock/redis/key_slot.hpp"

namespace penstock::redis {

namespace {

struct Word {
  std::string_view begins;
  ErrorKind kind;
};

/// The first words as Redis 7 writes them (src/server.c, createSharedObjects; src/acl.c), longer spellings of "ERR"
/// behind.
constexpr Word kWords[] = {
    {"MOVED ", ErrorKind::kMoved},
    {"ASK ", ErrorKind::kAsk},
    {"TRYAGAIN", ErrorKind::kTryAgain},
    {"CLUSTERDOWN", ErrorKind::kTryAgain},
    {"LOADING", ErrorKind::kNotServing},
    {"MASTERDOWN", ErrorKind::kNotServing},
    {"BUSY ", ErrorKind::kNotServing},
    {"READONLY", ErrorKind::kReadOnly},
    {"OOM ", ErrorKind::kNoWrites},
    {"MISCONF", ErrorKind::kNoWrites},
    {"NOREPLICAS", ErrorKind::kNoWrites},
    {"NOAUTH", ErrorKind::kNotAllowed},
    {"WRONGPASS", ErrorKind::kNotAllowed},
    {"NOPERM", ErrorKind::kNotAllowed},
    {"ERR invalid password", ErrorKind::kNotAllowed},
    {"ERR AUTH <password> called without any password", ErrorKind::kNoPassword},
    {"ERR Client sent AUTH, but no password is set", ErrorKind::kNoPassword},
    {"NOSCRIPT", ErrorKind::kNoScript},
    {"ERR unknown command", ErrorKind::kUnsupported},
};

template <class Number>
bool ReadNumber(std::string_view text, Number& number) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

ErrorKind KindOfError(std::string_view error) noexcept {
  for (const Word& word : kWords) {
    if (error.starts_with(word.begins)) return word.kind;
  }
  return ErrorKind::kOther;
}

std::optional<Redirect> Redirect::Parse(std::string_view error) noexcept {
  const std::size_t first = error.find(' ');
  const std::size_t second = first == std::string_view::npos ? first : error.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view place = error.substr(second + 1);
  const std::size_t colon = place.rfind(':');  // IPv6 addresses come without brackets
  Redirect redirect;
  if (colon == std::string_view::npos || !ReadNumber(error.substr(first + 1, second - first - 1), redirect.slot) ||
      !ReadNumber(place.substr(colon + 1), redirect.port) || redirect.port == 0 || redirect.slot >= kSlots) {
    return std::nullopt;
  }
  redirect.host = place.substr(0, colon);
  return redirect;
}

Reply Reply::Next() const noexcept {
  const ReplyNode* node = node_;
  for (std::size_t left = 1; left > 0; ++node) left += (node->type == ReplyType::kArray ? node->size : 0) - 1;
  return {node, text_};
}

}  // namespace penstock::redis
