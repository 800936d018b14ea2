#include "penstock/redis/command.hpp"

#include <charconv>

namespace penstock::redis {

namespace {

/// "*3\r\n" and "$16\r\n".
void AppendCount(Chain& out, char type, std::size_t count) {
  char text[24];
  text[0] = type;
  char* end = std::to_chars(text + 1, text + sizeof text - 2, count).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.Append(std::string_view(text, static_cast<std::size_t>(end - text)));
}

void AppendArgument(Chain& out, std::string_view argument) {
  AppendCount(out, '$', argument.size());
  out.Append(argument);
  out.Append(std::string_view("\r\n"));
}

/// A decimal number as text.
struct Number {
  explicit Number(std::uint64_t value) noexcept
      : size(static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits)) {}
  std::string_view view() const noexcept { return {digits, size}; }

  char digits[20];
  std::size_t size;
};

}  // namespace

void AppendCommand(Chain& out, std::span<const std::string_view> arguments) {
  AppendCount(out, '*', arguments.size());
  for (const std::string_view argument : arguments) AppendArgument(out, argument);
}

void AppendAuth(Chain& out, std::string_view user, std::string_view password) {
  if (user.empty()) {
    AppendCommand(out, {"AUTH", password});
  } else {
    AppendCommand(out, {"AUTH", user, password});
  }
}

void AppendSelect(Chain& out, std::uint32_t database) { AppendCommand(out, {"SELECT", Number(database).view()}); }

void AppendGet(Chain& out, std::string_view key) { AppendCommand(out, {"GET", key}); }

void AppendDelete(Chain& out, std::string_view key) { AppendCommand(out, {"DEL", key}); }

void AppendSet(Chain& out, std::string_view key, std::string_view head, const SharedBytes& body, std::uint64_t ttl_ms) {
  AppendCount(out, '*', 5);
  AppendArgument(out, "SET");
  AppendArgument(out, key);
  AppendCount(out, '$', head.size() + body.size());
  out.Append(head);
  if (!body.empty()) out.Append(body);
  out.Append(std::string_view("\r\n"));
  AppendArgument(out, "PX");
  AppendArgument(out, Number(ttl_ms).view());
}

}  // namespace penstock::redis
